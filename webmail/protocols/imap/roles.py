"""Which mailbox has which role: by what the server says (RFC 6154), else by its name in many languages."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

_ATTRIBUTES = {
    "\\inbox": "inbox",  # XLIST and a few others
    "\\drafts": "drafts",
    "\\sent": "sent",
    "\\archive": "archive",
    "\\junk": "junk",
    "\\spam": "junk",
    "\\trash": "trash",
}

# In order of preference within a role. Spelled as programs and providers of that language create them.
_NAMES = {
    "drafts": """
        drafts, draft, utkast, kladder, kladde, udkast, entwürfe, entwurf, brouillons, brouillon, borradores,
        borrador, bozze, bozza, rascunhos, rascunho, concepten, concept, klad, szkice robocze, wersje robocze,
        kopie robocze, luonnokset, koncepty, rozpracované, konceptai, piszkozatok, vázlatok, drög, черновики,
        черновик, чернетки, чернови, taslaklar, πρόχειρα, ciorne, osnutki, skice, mustandid, melnraksti,
        juodraščiai, esborranys, zirriborroak, borradors, drafty, 下書き, 草稿, 草稿箱, 草稿夾, 임시보관함,
        임시 보관함, טיוטות,
        مسودات, المسودات, bản nháp, konsep, draf, แบบร่าง""",
    "sent": """
        sent, sent items, sent messages, sent mail, sendt, sendte elementer, sendt post, sendte, skickat,
        skickade objekt, skickade, gesendet, gesendete elemente, gesendete objekte, envoyés, éléments envoyés,
        messages envoyés, objets envoyés, envoyes, enviados, elementos enviados, mensajes enviados,
        correo enviado, inviati, inviata, posta inviata, itens enviados, mensagens enviadas, verzonden,
        verzonden items, verzonden berichten, wysłane, elementy wysłane, lähetetyt, lähetetyt viestit,
        odeslané, odeslaná pošta, odoslané, elküldött, elküldött elemek, sent-mail, отправленные,
        исходящие отправленные, надіслані, изпратени, gönderilmiş öğeler, gönderilenler, gönderilmiş,
        απεσταλμένα, trimise, elemente trimise, poslano, poslane, saadetud, nosūtītie, išsiųsti, enviats,
        bidalita, 送信済み, 送信済みアイテム, 送信済みメール, 已发送, 已发送邮件, 已傳送, 已傳送的郵件,
        寄件備份, 寄件匣備份, 已寄出, 보낸 편지함, 보낸편지함, 보낸 메일함,
        פריטים שנשלחו, נשלחו, المرسلة, البريد المرسل, العناصر المرسلة, thư đã gửi, terkirim, item terkirim,
        ส่งแล้ว, sendir hlutir""",
    "archive": """
        archive, archives, arkiv, archiv, archivo, archivados, archivio, arquivo, arquivos, archief, archiwum,
        arkisto, archív, archivace, архив, архів, arşiv, αρχείο, arhiva, arhiv, arhīvs, archyvas, arhiiv,
        arxiu, artxiboa, アーカイブ,
        归档, 存档, 封存, 보관함, 보관, ארכיון, أرشيف, الأرشيف, lưu trữ, arsip, all mail""",
    "junk": """
        junk, spam, junk e-mail, junk email, junk mail, bulk mail, bulk, søppelpost, uønsket e-post, uønsket,
        skräppost, skräp, uønsket mail, uønsket post, junk-e-mail, spamverdacht, unerwünscht,
        courrier indésirable, indésirables, pourriel, correo no deseado, no deseado, posta indesiderata,
        indesiderata, lixo eletrônico, lixo electrónico, ongewenste e-mail, ongewenste post, ongewenst,
        wiadomości-śmieci, niechciane, roskaposti, nevyžádaná pošta, nevyžádané, nevyžiadaná pošta,
        levélszemét, спам, нежелательная почта, небажана пошта, önemsiz e-posta, gereksiz, ανεπιθύμητα,
        nesolicitate, neželena pošta, neželjena pošta, rämpspost, mēstules, brukalas, correu brossa, 迷惑メール,
        垃圾邮件, 垃圾郵件, 垃圾信件, 정크 메일, 스팸 메일함, 스팸메일함, 스팸, דואר זבל, ספאם,
        البريد غير المرغوب فيه, بريد مزعج, thư rác,
        จดหมายขยะ, ruslpóstur""",
    "trash": """
        trash, deleted items, deleted messages, deleted, bin, wastebasket, papirkurv, papirkurven, søppelkurv,
        slettet, slettede elementer, slettet post, søppel, papperskorg, papperskorgen, borttaget,
        borttagna objekt, papierkorb, gelöscht, gelöschte elemente, gelöschte objekte, corbeille,
        éléments supprimés, supprimés, poubelle, papelera, papelera de reciclaje, elementos eliminados,
        eliminados, cestino, posta eliminata, eliminati, elementi eliminati, lixeira, lixo, itens excluídos,
        itens eliminados, prullenbak, prullenmand, verwijderde items, verwijderd, kosz, usunięte,
        elementy usunięte, roskakori, poistetut, koš, odstraněná pošta, smazané, kôš, odstránené, kuka, lomtár,
        törölt elemek, törölt, корзина, удаленные, удалённые, кошик, кошче, çöp kutusu, silinmiş öğeler, çöp,
        κάδος απορριμμάτων, κάδος, διαγραμμένα, coș de gunoi, elemente șterse, koš za smeti, smeće, prügikast,
        miskaste, atkritne, šiukšlinė, paperera, zakarrontzia, ごみ箱, ゴミ箱, 削除済みアイテム, 已删除,
        已删除邮件, 废纸篓, 垃圾箱, 刪除的郵件,
        刪除的郵件匣, 垃圾桶, 휴지통, 지운 편지함, 삭제된 항목, פריטים שנמחקו, אשפה, سلة المهملات, المهملات,
        العناصر المحذوفة,
        thùng rác, tong sampah, sampah, ถังขยะ, rusl""",
}


def _fold(name: str) -> str:
    """Case, width, marks and the space between words do not tell names apart."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    kept = "".join(c for c in decomposed if not unicodedata.combining(c))
    return " ".join(kept.replace("_", " ").split())


def _spelled(names: str) -> list[str]:
    return [name.strip() for name in names.split(",")]


_ROLE_OF = {_fold(name): (role, rank) for role, names in _NAMES.items() for rank, name in enumerate(_spelled(names))}


def roles_of(mailboxes: Iterable[tuple[str, str | None, frozenset[str]]]) -> dict[str, str]:
    """name -> role for (name, delimiter, attributes in lower case); no role twice, no mailbox with two.

    What the server says counts before a name, and a name at the top (or under ``INBOX``) is all that is looked at:
    a mailbox ``Projects/Sent`` is somebody's own."""
    listed = list(mailboxes)
    roles: dict[str, str] = {}
    taken: set[str] = set()

    def give(name: str, role: str) -> None:
        if role not in taken and name not in roles:
            roles[name] = role
            taken.add(role)

    for name, _, _ in listed:
        if name == "INBOX":  # RFC 9051 §5.1
            give(name, "inbox")
    for name, _, attributes in listed:
        for attribute in sorted(attributes):
            if attribute in _ATTRIBUTES:
                give(name, _ATTRIBUTES[attribute])
    guesses = []
    for name, delimiter, attributes in listed:
        if attributes & {"\\noselect", "\\nonexistent", "\\all", "\\flagged", "\\important"}:
            continue
        role, rank = _ROLE_OF.get(_fold(_short(name, delimiter)), ("", 0))
        if role:
            guesses.append((rank, len(name), name, role))
    for _, _, name, role in sorted(guesses):
        give(name, role)
    return roles


def _short(name: str, delimiter: str | None) -> str:
    """The last word of a name at the top, or under INBOX or a provider's own root such as ``[Gmail]``."""
    if not delimiter or delimiter not in name:
        return name
    first, _, rest = name.partition(delimiter)
    if first.upper() == "INBOX" or (first.startswith("[") and first.endswith("]")):
        return rest
    return name

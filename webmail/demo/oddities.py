"""Letters that try a mail program: alphabets, old charsets, odd subjects, deceit and hostile HTML."""

from __future__ import annotations

from datetime import datetime

from .letter import INGRID, KARI, READ, STARRED, UNREAD, Letter, page


def letters(now: datetime) -> list[Letter]:
    return [*_right_to_left(), *_old_charsets(), *_japan(), *_subjects(), *_deceit()]


def _right_to_left() -> list[Letter]:
    return [
        Letter(
            "130m",
            "ليلى حداد <layla@haddad-translations.example>",
            "موعد التسليم الجديد للترجمة",
            flags=UNREAD,
            text="""
مرحبا كاري،

أرسل لك النسخة المنقحة من العقد مع ملاحظاتي على البند الرابع. هل يناسبك يوم الخميس في الساعة 10:30 صباحًا؟

مع أطيب التحيات،
ليلى
""",
        ),
        Letter(
            "5d 11:11",
            "נועה לוי <noa@levi.example>",
            "תמונות מהסדנה בברגן",
            html="""
<div dir="rtl" style="font-family: Arial, sans-serif"><p>היי קארי,</p>
<p>תודה על השבוע בברגן! העליתי את התמונות לכתובת <a href="https://levi.example/bergen">levi.example/bergen</a>.</p>
<ul><li>יום ראשון: הנמל</li><li>יום שני: הסדנה (42 תמונות)</li></ul><p>נועה</p></div>
""",
        ),
    ]


def _old_charsets() -> list[Letter]:
    return [
        Letter(
            "7d 14:20",
            "Bjørn Ås <bjorn@aas.example>",
            "Møte på fredag: sørøstlig kuling?",
            charset="iso-8859-1",
            text="Hei,\n\nblir det båttur, eller skal vi møtes på øya? Værmeldinga sier sørøst og regn.\n\nBjørn",
        ),
        Letter(
            "9d 10:10",
            "Zoë Müller <zoe@mueller.example>",
            "Prices in €, “smart” quotes – and dashes",
            charset="windows-1252",
            text="Hi Kari,\n\nthe chairs are €120 each – or “almost new”, as he put it… Shall we take four?\n\nZoë",
        ),
        Letter(
            "10d 13:33",
            "Наталья Орлова <natalia@orlova.example>",
            "Рукопись: последние правки",
            charset="koi8-r",
            text="Здравствуйте, Кари!\n\nПосылаю последние правки ко второй главе. Жду ответа до пятницы.\n\nНаталья",
        ),
        Letter(
            "13d 03:15",
            "李明 <li.ming@mingprint.example>",
            "关于海报的印刷报价",
            charset="gb18030",
            text="您好，Kari：\n\n附上五百张海报的报价。纸张有两种可选，交货期为十天。\n\n李明",
        ),
        Letter(
            "14d 09:00",
            "Zofia Żak <zofia@zak.example>",
            "Zażółć gęślą jaźń",
            charset="iso-8859-2",
            text="Cześć Kari,\n\ndziękuję za książkę! Czytam ją powoli, ze słownikiem.\n\nZofia",
        ),
    ]


def _japan() -> list[Letter]:
    return [
        Letter(
            "16d 01:20",
            "田中愛子 <aiko@tanaka-works.example>",
            "展覧会の日程について",
            charset="iso-2022-jp",
            folder="日本",
            text="カリさん\n\n展覧会の日程が決まりました。来月の十二日から二十日までです。\n\n田中",
        ),
        Letter(
            "20d 02:40",
            "京都町家の宿 <yoyaku@machiya.example>",
            "ご予約の確認",
            charset="shift_jis",
            folder="日本",
            flags=STARRED,
            text="ノールダール様\n\nご予約ありがとうございます。チェックインは午後三時からです。\n\n京都町家の宿",
        ),
        Letter(
            "19d 23:05",
            "鈴木 一郎 <suzuki@suzuki-kogei.example>",
            "道具のリスト",
            folder="日本",
            text="・鉋（かんな）\n・鋸（のこぎり）\n・鑿（のみ）\n\n木曜日に持って行きます。",
        ),
    ]


def _subjects() -> list[Letter]:
    long = (
        "Referat fra møtet i arbeidsgruppa for sykkelparkering, postkasseskilt, lekeplass og "
        + "alt det andre vi ikke rakk sist " * 6
    )
    return [
        Letter(
            "11d 20:20",
            "Vegard Lie <vegard@lie.example>",
            long.strip(),
            text="Kort sagt: vi rakk ikke resten denne gangen heller.\n\nVegard",
        ),
        Letter("17d 16:00", "Print Service <scan@kontoret.example>", "", text="Scanned document, 1 page."),
    ]


def _deceit() -> list[Letter]:
    return [
        Letter(
            "4h",
            '"Ingrid Solheim (ingrid@postkasse.test)" <ingrid@postkasse-test.example>',
            "Haster: nytt kontonummer for faktura 2026-114",
            flags=UNREAD,
            headers={"Reply-To": "betaling@hurtig-oppgjor.example"},
            text="Hei Kari, vi har byttet bank. Kan du betale i dag? Se https://fjordbanken.example/oppgjor",
            html=page("lookalike"),
        ),
        Letter(
            "6d 05:06",
            "Security <alert@security-center.example>",
            "A letter full of tricks (all of them harmless here)",
            html=page("hostile"),
            text="This letter carries script, forms and frames. None of it should do anything.",
        ),
        Letter("12d 19:19", INGRID, "Fwd: Rare skilt i byen", to=KARI, flags=READ, raw=_FORWARD, id="forward"),
    ]


_FORWARD = """
Date: {date}
From: {from}
To: {to}
Message-ID: {id}
Subject: Fwd: Rare skilt i byen
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="=_forward"

--=_forward
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Denne må du se. Brevet hans ligger ved.

Ingrid

--=_forward
Content-Type: message/rfc822

From: Per Skilt <per@skilt.example>
To: Ingrid Solheim <ingrid@postkasse.test>
Date: Mon, 5 Oct 2026 10:00:00 +0200
Message-ID: <skilt@skilt.example>
Subject: Rare skilt i byen
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Utenfor bakeriet står det: «Kun for kunder som ikke skal hit.»

Per

--=_forward--
"""

"""Letters between people: work on a roof, a journey, a cabin, a contract, and the family."""

from __future__ import annotations

from datetime import datetime, timedelta

from .files import calendar, csv, fjord, pdf, vcard
from .letter import ANSWERED, INGRID, JONAS, KARI, READ, STARRED, UNREAD, Letter

OLA = "Ola Berg <ola.berg@solheimbygg.example>"
MAMMA = "Mamma <liv@nordahl.example>"
AIKO = "Aiko Tanaka <aiko@tanaka-works.example>"
THOMAS = "Thomas Wright <t.wright@wrightlegal.example>"
SOFIE = "Sofie <sofie.lund@brev.example>"
HARBOUR = "Havnekontoret <kaiplass@havnekontoret.example>"


def letters(now: datetime) -> list[Letter]:
    return [
        *_roof(now),
        *_journey(),
        *_cabin(),
        *_workshop(),
        *_contract(),
        *_harbour(),
        *_family(),
        *_older(),
        *_to_others(),
    ]


def _roof(now: datetime) -> list[Letter]:
    offer = pdf(
        "Tilbud tak Storgata 14.pdf",
        "Tilbud: nytt tak, Storgata 14",
        "Alternativ A: 300 mm isolasjon",
        "Alternativ B: 350 mm",
    )
    prices = csv(
        "Mengder og priser.csv",
        "Post;Mengde;Pris",
        "Taktekking m2;212;148400",
        "Isolasjon m2;198;71280",
        "Stillas uke;4;36000",
    )
    thursday = (now + timedelta(days=3)).replace(hour=9, minute=0, second=0, microsecond=0)
    meeting = calendar(
        thursday,
        1,
        "Oppstartsmøte, Storgata 14",
        "Brakka, Storgata 14",
        uid="oppstart-storgata-14@postkasse.test",
        organizer="ingrid@postkasse.test",
        attendees=("kari@postkasse.test",),
    )
    return [
        Letter(
            "4d 09:12",
            INGRID,
            "Tilbud på nytt tak, Storgata 14",
            id="roof1",
            flags=ANSWERED,
            cc=OLA,
            text="""
Hei Kari,

vi var oppe på taket i går. Undertaket er tørt på sørsiden, men på nordsiden må vi skifte omtrent førti
kvadratmeter. Jeg regner på to alternativer og sender tilbud før helgen.

Ingrid
""",
        ),
        Letter(
            "4d 10:40",
            KARI,
            "Re: Tilbud på nytt tak, Storgata 14",
            id="roof2",
            replies=("roof1",),
            folder="Sent",
            to=INGRID,
            cc=OLA,
            text="""
Takk for at dere var så raske! Kan dere ta med en pris på tykkere isolasjon også? Styret spør om det.

Kari

> vi var oppe på taket i går. Undertaket er tørt på sørsiden, men på nordsiden må vi skifte omtrent førti
> kvadratmeter.
""",
        ),
        Letter(
            "1d 15:26",
            OLA,
            "Re: Tilbud på nytt tak, Storgata 14",
            id="roof3",
            replies=("roof1", "roof2"),
            cc=INGRID,
            text="""
Stillaset kan stå klart fra mandag i uke 49. Da trenger vi tilgang til bakgården og at sykkelskuret er tømt.

Ola
""",
        ),
        Letter(
            "35m",
            INGRID,
            "Re: Tilbud på nytt tak, Storgata 14",
            id="roof4",
            replies=("roof1", "roof2", "roof3"),
            flags=UNREAD,
            cc=OLA,
            files=(offer, prices),
            text="""
Hei Kari,

her er oppdatert pris med to alternativer for isolasjon. Jeg har lagt ved tilbudet og mengdene. Alternativ B
koster litt mer, men regner seg inn på omtrent åtte år.

Si fra om styret vil ha oss på møtet, så kommer en av oss.

Ingrid
""",
        ),
        Letter(
            "5h",
            INGRID,
            "Oppstartsmøte, Storgata 14",
            id="meeting",
            flags=STARRED,
            invitation=meeting,
            text="""
Hei begge to. Vi tar en time på torsdag og går gjennom rekkefølgen: stillas først, så riving av gammel tekking,
og isolasjon når vi vet at taket holder tett.

Ingrid
""",
        ),
        Letter(
            "12d 11:05",
            OLA,
            "Bilder fra loftet",
            folder="Bolig/Storgata 14",
            html="""
<p>Hei, her er det vi så fra loftsluka. Fuktmerket er <b>gammelt</b>, ikke noe å uroe seg for.</p>
<p><img src="cid:loft.png@letters.postkasse.test" alt="Loftet sett fra luka" width="320"></p><p>Ola</p>
""",
            text="Hei, her er det vi så fra loftsluka. Fuktmerket er gammelt, ikke noe å uroe seg for.\n\nOla",
            pictures=(fjord("loft.png", (236, 226, 204), (110, 84, 60)),),
        ),
        Letter(
            "15d 08:30",
            INGRID,
            "Kontaktkort til taktekkeren",
            folder="Bolig/Storgata 14",
            files=(vcard("Ola Berg.vcf", "Ola Berg", "ola.berg@solheimbygg.example", "+47 400 00 014"),),
            text="Ola har fått nytt nummer. Kortet ligger ved.\n\nIngrid",
        ),
        Letter(
            "21d 16:45",
            KARI,
            "Spørsmål om taket",
            folder="Sent",
            to=INGRID,
            text="Hei Ingrid! Det drypper ved pipa når vinden står fra nord. Har dere tid til å se på det?\n\nKari",
        ),
    ]


def _journey() -> list[Letter]:
    return [
        Letter(
            "3d 18:02",
            KARI,
            "Re: Your journey to Bergen: tickets and seats",
            id="journey2",
            replies=("journey1",),
            folder="Sent",
            to=JONAS,
            text="Passer dette? Vi er fremme til middag på fredag.\n\nKari",
        ),
        Letter(
            "2d 09:15",
            JONAS,
            "Re: Your journey to Bergen: tickets and seats",
            id="journey3",
            replies=("journey1", "journey2"),
            text="Perfekt. Jeg tar med kaffe, du tar med kortstokken.\n\nJ",
        ),
    ]


def _cabin() -> list[Letter]:
    subject, reply = "Hyttetur i romjula", "Re: Hyttetur i romjula"
    names = tuple(f"cabin{number}" for number in range(1, 8))
    said = [
        ("6d 19:40", JONAS, "Skal vi prøve hytta i romjula igjen? 27. til 30. er ledig."),
        ("6d 20:05", KARI, "Ja! Men bare hvis vi får ved opp dit først. I fjor frøs vi til langt på kveld."),
        ("5d 07:55", JONAS, "Jeg kan kjøre opp en henger 12. desember. Blir du med og stabler?"),
        ("4d 21:12", KARI, "Gjerne. Mamma spør om hun kan låne den lille senga."),
        (
            "3d 12:30",
            JONAS,
            "Selvfølgelig kan hun det. Da er vi fem.\n\nForresten: ta med hodelykt, den ute ved døra er død.",
        ),
        ("2d 17:48", KARI, "Fem er fint. Jeg lager liste over mat, du tar vin og spill."),
        ("1d 17:12", JONAS, "Da booker jeg. Nøkkelen ligger i boksen ved uthuset, koden er den samme som før."),
    ]
    return [
        Letter(
            when,
            sender,
            reply if number else subject,
            text + ("\n\nJonas" if sender == JONAS else "\n\nKari"),
            id=names[number],
            replies=names[:number],
            folder="Sent" if sender == KARI else "INBOX",
            to=JONAS if sender == KARI else KARI,
            flags=ANSWERED if sender == JONAS and number < 6 else READ,
        )
        for number, (when, sender, text) in enumerate(said)
    ]


def _workshop() -> list[Letter]:
    return [
        Letter(
            "3d 16:20",
            AIKO,
            "Photos from the workshop",
            id="photos1",
            text="""
Hi Kari,

I have not sorted them yet, but here is the first batch as promised. More tomorrow.

Aiko
""",
            files=(fjord("workshop-01.png"), fjord("workshop-02.png", (240, 214, 190), (90, 70, 110))),
        ),
        Letter(
            "2d 20:14",
            KARI,
            "Re: Photos from the workshop",
            id="photos2",
            replies=("photos1",),
            folder="Sent",
            to=AIKO,
            text="These are lovely, thank you! May I use the second one on our page, with your name under it?\n\nKari",
        ),
        Letter(
            "1d 14:03",
            AIKO,
            "Re: Photos from the workshop",
            id="photos3",
            replies=("photos1", "photos2"),
            flags=STARRED,
            text="""
Of course you may.

Forty-two of them, sorry. The good ones are from 18 onwards.

Aiko
""",
            html="""
<div style="font-family: Georgia, serif; color: #2b2b2b"><p>Of course you may.</p>
<p>Forty-two of them, sorry. The good ones are from <b>18</b> onwards:</p>
<p><img src="cid:eighteen.png@letters.postkasse.test" alt="The long table at the workshop" width="320" height="200"></p>
<p>Aiko</p></div>
""",
            pictures=(fjord("eighteen.png", (250, 230, 200), (60, 110, 120)),),
        ),
        Letter(
            "40d 10:00",
            AIKO,
            "Invoice for the poster",
            folder="Kvitteringer",
            text="Hi Kari, the invoice is attached. No hurry.\n\nAiko",
            files=(pdf("Invoice 0412.pdf", "Invoice 0412", "Poster design, one sheet", "Total: NOK 6 400"),),
        ),
    ]


def _contract() -> list[Letter]:
    subject = "Contract draft v7: comments from legal on sections 4.2, 9 and the termination clause"
    return [
        Letter(
            "1d 16:31",
            KARI,
            subject,
            id="contract1",
            folder="Sent",
            to=THOMAS,
            text="""
Dear Thomas,

attached is version 7. Legal has three comments: the notice period in 4.2, the cap in 9, and what happens to the
drawings if we end it early.

Best regards
Kari
""",
            files=(
                pdf(
                    "Contract draft v7.pdf",
                    "Contract, draft 7",
                    "4.2 Notice: three months",
                    "9 Liability: twelve months of fees",
                ),
            ),
        ),
        Letter(
            "3h",
            THOMAS,
            f"Re: {subject}",
            id="contract2",
            replies=("contract1",),
            flags=STARRED,
            flowed=True,
            text="""
Kari, see the attached redline. We can live with three months in 4.2 if the\x20
other side gives the same. On 9 we would rather see a fixed sum than twelve\x20
months of fees; I have put a figure in brackets.

> what happens to the drawings if we end it early

They stay with whoever paid for them, in my reading. I have written that out.

--\x20
Thomas Wright
Wright Legal
""",
            files=(
                pdf(
                    "Contract draft v7 redline.pdf",
                    "Contract, draft 7, redline",
                    "4.2 Notice: three months, mutual",
                    "9 Liability: [NOK 400 000]",
                ),
            ),
        ),
    ]


def _harbour() -> list[Letter]:
    return [
        Letter(
            "6d 15:02",
            HARBOUR,
            "Kaiplass 7: ny avtale fra januar",
            id="harbour1",
            flags=ANSWERED,
            text="""
Hei,

vedlagt ligger forslag til ny leieavtale for kaiplass 7. Leien følger konsumprisindeksen. Vi ber om svar innen
den 15. desember.

Vennlig hilsen
Havnekontoret
""",
            files=(pdf("Leieavtale kaiplass 7.pdf", "Leieavtale, kaiplass 7", "Leietid: 1. januar til 31. desember"),),
        ),
        Letter(
            "5d 08:20",
            KARI,
            "Re: Kaiplass 7: ny avtale fra januar",
            id="harbour2",
            replies=("harbour1",),
            folder="Sent",
            to=HARBOUR,
            text="Hei! Avtalen ser grei ut. Gjelder strømmen på kaia i leien, eller kommer den utenom?\n\nKari Nordahl",
        ),
        Letter(
            "5d 13:37",
            HARBOUR,
            "Re: Kaiplass 7: ny avtale fra januar",
            id="harbour3",
            replies=("harbour1", "harbour2"),
            text="Strømmen er med opp til 16 ampere. Måleren leses av i april og oktober.\n\nHavnekontoret",
        ),
    ]


def _family() -> list[Letter]:
    return [
        Letter(
            "95m",
            MAMMA,
            "Søndagsmiddag?",
            flags=UNREAD,
            text="""
Vi lager fårikål igjen. Kommer dere begge to, og kan dere ta med poteter?

Pappa har funnet skiene dine på loftet, forresten. De trenger ny smurning.

Klem fra mamma
""",
        ),
        Letter(
            "6d 21:17",
            SOFIE,
            None,
            text="Så du denne? Minnet meg om deg.\n\nS.",
            files=(fjord("utsikt.png", (250, 214, 196), (96, 60, 90)),),
        ),
        Letter(
            "2d 08:15",
            SOFIE,
            "🎂 Bursdag på lørdag! 🎈🎉",
            flags=UNREAD,
            text="""
Ida blir seks år og vil ha hele gata på besøk 🥳

Kl. 14 hos oss. Det blir pølser 🌭, kake og en skattejakt i bakgården. Gi beskjed om noen ikke tåler nøtter!

Sofie
""",
        ),
        Letter(
            "33d 19:05",
            MAMMA,
            "Bestemors oppskrift",
            folder="Archive",
            flags=STARRED,
            text="""
Her er den, ord for ord slik hun sa den:

  tre egg
  to kopper sukker, men «ikke for fulle»
  smør på størrelse med et egg
  mel til det føles riktig

Stek til det lukter godt i gangen.

Mamma
""",
        ),
    ]


def _older() -> list[Letter]:
    return [
        Letter(
            "52d 09:40",
            JONAS,
            "Nye dekk på bilen",
            folder="Archive",
            text="Vinterdekkene er på. De gamle ligger i boden, merket med hvor de satt.\n\nJonas",
        ),
        Letter(
            "75d 13:10",
            INGRID,
            "Takk for kaffen",
            folder="Archive",
            text="Det var hyggelig å se dere igjen! Jeg sender tegningene når de er ferdige.\n\nIngrid",
        ),
        Letter(
            "120d 18:22",
            AIKO,
            "Re: Summer exhibition",
            folder="Archive",
            text="The hall is ours from the 12th. I will bring the long table.\n\nAiko",
        ),
        Letter(
            "90d 07:30",
            JONAS,
            "Reiserute til Lofoten",
            folder="Reiser",
            flags=STARRED,
            text="""
Dag 1: Bodø, ferge til Moskenes kl. 15
Dag 2: Å og Reine
Dag 3: Henningsvær
Dag 4: Svolvær og hjem

Telt eller rorbu? Jeg stemmer for rorbu etter i fjor.

Jonas
""",
        ),
        Letter(
            "3d 22:10",
            KARI,
            "Julegaver",
            folder="Drafts",
            flags="DS",
            to=JONAS,
            text="Hei! Har du noen idé om hva mamma ønsker seg? Jeg tenkte på",
        ),
        Letter(
            "8d 20:00",
            JONAS,
            "Gammel handleliste",
            folder="Trash",
            text="Melk, brød, batterier (AA), lyspære til gangen.",
        ),
    ]


def _to_others() -> list[Letter]:
    return [
        Letter(
            "9d 12:15",
            KARI,
            "Faktura 2026-114",
            folder="Sent",
            to="Regnskap <regnskap@fullpostkasse.example>",
            text="Hei, fakturaen er vedlagt. Forfall om fjorten dager.\n\nKari Nordahl",
            files=(pdf("Faktura 2026-114.pdf", "Faktura 2026-114", "Rådgivning, oktober", "Sum: kr 18 750"),),
        ),
        Letter(
            "2d 11:00",
            KARI,
            "Nøkler til bakgården",
            folder="Sent",
            to=f"{INGRID}, {JONAS}",
            text="Nøklene henger i skapet innenfor døra til vaskerommet. Begge to har kode.\n\nKari",
        ),
    ]

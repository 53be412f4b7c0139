"""Letters from firms and machines: tickets, newsletters, receipts, mailing lists, notices."""

from __future__ import annotations

from datetime import datetime, timedelta

from .files import File, archive, calendar, csv, fjord, pdf
from .letter import READ, STARRED, UNREAD, Letter, page

NORDBANE = "Nordbane <tickets@nordbane.example>"
CI = "Byggtjener <noreply@byggtjener.example>"
FURULIA = "Borettslaget Furulia <styret@furulia.example>"
BANK = "Fjordbanken <melding@fjordbanken.example>"
PEAKS = "fjell-og-fottur <fjell@lister.example>"
OFFICE = "Plan og bygg <postmottak@planogbygg.example>"


def letters(now: datetime) -> list[Letter]:
    return [
        *_journey(now),
        *_machines(),
        *_newsletters(),
        *_housing(now),
        *_list(),
        *_receipts(),
        *_notices(),
        *_unwanted(),
    ]


def _journey(now: datetime) -> list[Letter]:
    friday = (now + timedelta(days=11)).replace(hour=8, minute=25, second=0, microsecond=0)
    plan = calendar(friday, 6.6, "Train to Bergen", "Oslo S, track 4", uid="nordbane-4471@letters.postkasse.test")
    ticket = pdf(
        "Billett Oslo-Bergen.pdf",
        "Nordbane: Oslo S - Bergen",
        f"{friday:%d.%m.%Y}, 08:25 from track 4",
        "Carriage 3, seats 41 and 42",
    )
    references = ("journey1", "journey2", "journey3")
    return [
        Letter(
            "3d 17:31",
            NORDBANE,
            "Your journey to Bergen: tickets and seats",
            id="journey1",
            text="We have your booking. Tickets follow when the payment has cleared.\n\nNordbane",
        ),
        Letter(
            "50m",
            NORDBANE,
            "Your journey to Bergen: tickets and seats",
            id="journey4",
            replies=references,
            flags=STARRED,
            files=(ticket, File("reise.ics", "text/calendar", plan.encode())),
            text=f"{friday:%A %d %B}, 08:25 from Oslo S. Carriage 3, seats 41 and 42.\n\nYour tickets are attached.",
            html=page("ticket").replace("DAY", f"{friday:%A %d %B}"),
        ),
    ]


def _machines() -> list[Letter]:
    results = [
        ("2d 10:12", "b7d01f3", "3 failed"),
        ("1d 09:30", "77ab90e", "1 failed"),
        ("1d 11:02", "c0ffee1", "0 failed"),
        ("2h", "4f1c2ae", "0 failed"),
    ]
    return [
        Letter(
            when,
            CI,
            f"[takserver] main: 214 passed, {failed} in 38 s",
            flags=UNREAD if when == "2h" else READ,
            headers={"List-Id": "takserver <takserver.byggtjener.example>", "Auto-Submitted": "auto-generated"},
            text=f"{'All checks green' if failed == '0 failed' else failed.capitalize()} on {commit}.\n"
            f"Artifacts kept for 14 days.\n\nhttps://byggtjener.example/takserver/{commit}",
        )
        for when, commit, failed in results
    ]


def _newsletters() -> list[Letter]:
    leave = {"List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    return [
        Letter(
            "4d 09:00",
            "Turlaget Nord <nytt@turlagetnord.example>",
            "Vinterprogrammet er her",
            flags=UNREAD,
            headers={
                **leave,
                "List-Id": "Nytt fra Turlaget Nord <nytt.turlagetnord.example>",
                "List-Unsubscribe": "<https://turlagetnord.example/meld-av?k=83>, <mailto:av@turlagetnord.example>",
            },
            text="Trettiåtte turer, fra rolige skispor til brevandring. Påmelding åpner mandag kl. 10.",
            html=page("winter"),
        ),
        Letter(
            "8d 06:30",
            "The Slow Kettle <hello@slowkettle.example>",
            "Issue 41: Tea from a hillside, and why water matters",
            headers={
                **leave,
                "List-Id": "The Slow Kettle <letters.slowkettle.example>",
                "List-Unsubscribe": "<https://slowkettle.example/leave?reader=kari>",
            },
            html=page("kettle"),
        ),
        Letter(
            "7d 07:00",
            "Grønnkassa <hei@gronnkassa.example>",
            "Ukas kasse: jordskokk, grønnkål og epler fra Hardanger",
            headers={
                "List-Id": "<ukas.gronnkassa.example>",
                "List-Unsubscribe": "<mailto:stopp@gronnkassa.example?subject=stopp>",
            },
            text="Jordskokk, grønnkål, gulrot, purre og fem epler.",
            html=page("vegetables"),
        ),
    ]


def _housing(now: datetime) -> list[Letter]:
    meeting = (now + timedelta(days=8)).replace(hour=19, minute=0, second=0, microsecond=0)
    papers = archive(
        "Sakspapirer.zip",
        innkalling__txt="Sak 1: Konstituering\nSak 2: Regnskap\nSak 3: Fasade og tak\n",
        fullmakt__txt="Jeg gir med dette fullmakt til\n",
    )
    return [
        Letter(
            "1d 19:30",
            FURULIA,
            "Innkalling til ekstraordinær generalforsamling",
            files=(papers,),
            text=f"""
Kjære andelseiere,

det innkalles til ekstraordinær generalforsamling {meeting:%d.%m.} klokka 19 i fellesrommet. Sak 3 gjelder
rehabilitering av fasade og tak. Papirene ligger ved; fullmakt kan leveres i postkassa til styret.

Styret i Borettslaget Furulia
""",
        ),
        Letter(
            "18d 10:00",
            FURULIA,
            "Dugnad lørdag: husk hansker",
            folder="Bolig",
            text="Vi starter klokka elleve. Kaffe og boller fra halv ett.\n\nStyret",
        ),
        Letter(
            "44d 12:00",
            FURULIA,
            "Felleskostnader fra nyttår",
            folder="Bolig",
            text="Felleskostnadene øker med tre prosent fra 1. januar.\n\nStyret",
            files=(csv("felleskostnader.csv", "Leilighet;Nå;Fra januar", "14A;4120;4244", "14B;3890;4007"),),
        ),
        Letter(
            "4d 13:45",
            OFFICE,
            "Svar på byggesøknad 26/4471",
            flags=STARRED,
            folder="Bolig/Storgata 14",
            text="""
Søknaden er godkjent med to vilkår, se vedlegg 2. Arbeidet må være satt i gang innen tre år.

Plan og bygg
""",
            files=(
                pdf("Vedtak 26-4471.pdf", "Vedtak i sak 26/4471", "Tiltaket godkjennes."),
                pdf("Vedlegg 2.pdf", "Vilkår", "1. Stillas merkes.", "2. Fortau holdes åpent."),
            ),
        ),
    ]


def _list() -> list[Letter]:
    fields = {
        "List-Id": "Fjell og fottur <fjell.lister.example>",
        "List-Post": "<mailto:fjell@lister.example>",
        "List-Unsubscribe": "<mailto:fjell-leave@lister.example>",
        "Precedence": "list",
        "Reply-To": PEAKS,
    }
    return [
        Letter(
            "2d 12:44",
            "Tore Bakken <tore@bakken.example>",
            "[fjell] Is i Besseggen-stien?",
            to=PEAKS,
            id="list1",
            headers=fields,
            flowed=True,
            text="""
Noen som har vært der den siste uka? Jeg lurer på om det holder med \nbrodder, eller om vi skal vente til våren.

Tore
""",
        ),
        Letter(
            "1d 22:51",
            "Marit Eggen <marit.eggen@post.example>",
            "Re: [fjell] Is i Besseggen-stien?",
            to=PEAKS,
            id="list2",
            replies=("list1",),
            headers=fields,
            flags=UNREAD,
            flowed=True,
            text="""
Tore Bakken skrev:
> Noen som har vært der den siste uka? Jeg lurer på om det holder med \n> brodder, eller om vi skal vente til våren.
>> tidligere: stien er bratt
> Tore

Vi snudde ved Bandet på søndag. Blank is under nysnøen. Vent!

-- \nMarit
""",
        ),
    ]


def _receipts() -> list[Letter]:
    bought = [
        ("11d 17:20", "Jernvare Sentrum", "Kvittering 88120", "kr 349,00"),
        ("26d 12:02", "Bokhandelen på hjørnet", "Takk for kjøpet", "kr 428,00"),
        ("61d 09:44", "Sykkelverkstedet", "Kvittering for service", "kr 1 150,00"),
    ]
    receipts = [
        Letter(
            when,
            f"{shop} <kvittering@butikk{number}.example>",
            subject,
            folder="Kvitteringer",
            text=f"Takk for at du handlet hos oss. Sum: {amount}\n\n{shop}",
            files=(pdf(f"kvittering-{number}.pdf", shop, subject, f"Sum: {amount}"),),
        )
        for number, (when, shop, subject, amount) in enumerate(bought, 1)
    ]
    return [
        *receipts,
        Letter(
            "88d 20:11",
            "Rorbuene i Reine <booking@rorbu.example>",
            "Booking confirmed: two nights in Reine",
            folder="Reiser",
            text="Welcome! The key is in the box by the door. Fishing rods are in the shed.",
            files=(fjord("reine.png"),),
        ),
        Letter(
            "85d 08:00",
            "Havferga <billett@havferga.example>",
            "Billett: Bodø - Moskenes",
            folder="Reiser",
            flags=READ,
            text="Møt opp 45 minutter før avgang.",
            files=(pdf("billett.pdf", "Havferga", "Bodø - Moskenes, kl. 15:00"),),
        ),
    ]


def _notices() -> list[Letter]:
    return [
        Letter(
            "1d 06:00",
            BANK,
            "Kontoutskrift for forrige måned er klar",
            text="Logg inn i nettbanken for å lese den. Vi sender aldri lenker til innlogging.\n\nFjordbanken",
        ),
        Letter(
            "3d 16:20", "Postmaster <postmaster@fullpostkasse.example>", None, flags=UNREAD, id="bounce", raw=_BOUNCE
        ),
        Letter(
            "30d 06:00",
            BANK,
            "Kontoutskrift er klar",
            folder="Archive",
            text="Logg inn i nettbanken for å lese den.\n\nFjordbanken",
        ),
        Letter(
            "10d 09:00",
            "Norsk språkverk <ord@sprakverk.example>",
            "Dagens ord: «utepils»",
            folder="Trash",
            text="Øl drukket ute, gjerne for tidlig på året.",
        ),
    ]


_BOUNCE = """
Return-Path: <>
Date: {date}
From: {from}
To: {to}
Message-ID: {id}
Subject: Undelivered: Faktura 2026-114
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="=_report"

--=_report
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

The mailbox you wrote to is full. We gave up after 3 days.

    regnskap@fullpostkasse.example: 552 5.2.2 Mailbox full

--=_report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.fullpostkasse.example

Final-Recipient: rfc822; regnskap@fullpostkasse.example
Action: failed
Status: 5.2.2
Diagnostic-Code: smtp; 552 5.2.2 Mailbox full

--=_report
Content-Type: text/rfc822-headers

From: Kari Nordahl <kari@postkasse.test>
To: Regnskap <regnskap@fullpostkasse.example>
Subject: Faktura 2026-114

--=_report--
"""


def _unwanted() -> list[Letter]:
    junk = [
        (
            "1d 03:12",
            "Dr. Prize <winner@lucky-draw.example>",
            "CONGRATULATIONS kari!!! You have been selected",
            "Reply with your bank details to receive USD 4,500,000.",
        ),
        (
            "5d 04:44",
            "Super Kvalitetsklokker <salg@billige-klokker.example>",
            "87 % rabatt bare i dag",
            "Klokker nesten som ekte.",
        ),
        (
            "9d 02:05",
            "SEO Team <growth@rank-rocket.example>",
            "I looked at your website",
            "I found 14 errors on your website. May I send a quote?",
        ),
    ]
    return [
        Letter(when, sender, subject, folder="Junk", flags=UNREAD, text=text) for when, sender, subject, text in junk
    ]

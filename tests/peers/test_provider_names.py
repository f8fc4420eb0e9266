"""Two hundred people with names in many scripts sign in through a real OpenID provider.

Each is one user, with a valid name of its own, and can mint. The provider is npm `oidc-provider`.
"""

import json
import re
import time
import unicodedata

import pytest

from demo import INTERNAL
from provider import AUDIENCE, Provider

GIVEN_AND_FAMILY_NAMES = {
    "Latin": ("Łukasz Zoë Nguyễn Siân Żaneta", "O'Brien Müller Ðặng Şahin García-Ruiz"),
    "Cyrillic": ("Ядвига Юрій Ђорђе Айгүл", "Петровна Шевченко Љубић Сәрсенов Иванов"),
    "Greek": ("Ελένη Νίκος Άννα Θεόδωρος", "Παπαδοπούλου Οικονόμου Ζαχαρίας Ξένος Ψαρός"),
    "Arabic": ("محمد فاطمة يوسف زهرا", "أحمد الخطيب حسین‌زاده قریشی ناصر"),
    "Hebrew": ("דוד שרה יעל אבי", "לוי כהן בן־דוד מזרחי פרץ"),
    "Devanagari": ("प्रिया अर्जुन सीता विक्रम", "शर्मा त्रिपाठी ज़ैदी पाटील सिंह"),
    "Thai": ("สมชาย กัญญา ณัฐวุฒิ พิมพ์", "ใจดี ศรีสุข วงศ์สว่าง ทองคำ บุญมี"),
    "Han": ("小龙 美玲 建國 欣怡", "李 歐陽 张 陳 諸葛"),
    "Hangul": ("철수 영희 지민 서연", "김 이 박 최 남궁"),
    "Kana": ("ひろし さくら ケンジ ユキ", "すずき タナカ さとう ワタナベ いとう"),
    "Ethiopic": ("አበበ ሐና ተስፋዬ ሰላም", "ቢቂላ ገብረ ኃይሌ ወልደ በቀለ"),
    "Armenian": ("Արամ Նարե Տիգրան Անի", "Խաչատրյան Պետրոսյան Սարգսյան Ղազարյան Հովհաննիսյան"),
}  # fmt: skip

AWKWARD = [
    "ada_example.com#EXT#@tenant.onmicrosoft.com",
    "CORP\\ada",
    "ada+maps@example.org",
    '"Ada" <ada@example.org>',
    "Ада Lovelace",
    "דוד Levi",
    "Zoe\u0308",
    "Zoë",
    "👩\u200d🔬",
    "Ada 🇩🇪",
    "\u202eadA\u202c",
    "ﬁona ＷＩＤＥ",
    "otto",
    "OTTO",
    "anonymous",
    "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0",
    "a" * 300,
    "\u0301\u0301",
    "'; DROP TABLE users; --",
    "\x00\x1b[31m",
]  # fmt: skip


def people():
    """Two hundred names of different people, some of which are equal to others."""
    names = list(AWKWARD)
    pairs = [
        (given, family)
        for givens, families in GIVEN_AND_FAMILY_NAMES.values()
        for given in givens.split()
        for family in families.split()
    ]
    # Evenly over the scripts: each has about twenty combinations.
    names += [f"{given} {family}" for given, family in pairs]
    assert len(names) >= 200
    step = len(names) / 200
    return [names[int(number * step)] for number in range(200)]


@pytest.fixture
def provider(peers_folder):
    provider = Provider(peers_folder).start()
    yield provider
    provider.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def server(request, provider, make_server):
    """A demo server that trusts the provider, on each database."""
    issuer = {"issuer": provider.issuer, "audience": AUDIENCE}
    settings = {"CEDARGATE_ISSUERS": json.dumps([issuer])}
    if request.param == "postgres":
        cluster = request.getfixturevalue("cluster")
        settings["CEDARGATE_DATABASE_URL"] = cluster.create_database()
    server = make_server(**settings).start()
    yield server
    server.stop()


def listed_users(server):
    """All users by the API, page by page, as an administrator."""
    session = {"Authorization": f"Bearer {server.login('admin')}"}
    users, after = [], None
    while True:
        params = {"limit": 37, **({"after": after} if after else {})}
        page = server.get("/admin/users", headers=session, params=params).json()
        users += page["items"]
        after = page.get("next")
        if not after:
            return users


def test_two_hundred_people_are_each_one_user_and_can_mint(provider, server):
    local = {user["id"]: user for user in listed_users(server)}
    names = people()
    tokens = []
    for number, name in enumerate(names):
        claims = {"preferred_username": name}
        tokens.append(provider.person_token(f"person {number}", claims))
        assert server.mint(INTERNAL, tokens[-1]), name
    # And once more, with a newer token, so that nobody is made twice.
    seen = {}
    for number, name in enumerate(names):
        claims = {"preferred_username": name, "iat": time.time()}
        token = provider.person_token(f"person {number}", claims)
        me = server.get("/auth/me", headers={"Authorization": f"Bearer {token}"}).json()
        seen[me["user_id"]] = (name, me)
        assert server.mint(INTERNAL, token), name
    assert len(seen) == 200

    users = [user for user in listed_users(server) if user["id"] not in local]
    assert len(users) == 200
    assert {user["id"] for user in users} == set(seen)
    assert len({user["username"] for user in users}) == 200
    assert not {user["username"] for user in users} & {user["username"] for user in local.values()}
    for user in users:
        name, me = seen[user["id"]]
        assert user["username"] == me["username"]
        assert re.fullmatch(r"\w[\w.@-]{0,63}", ascii_marks(user["username"])), user
        shown = user.get("display_name")
        assert shown == me.get("display_name")
        if name.isprintable() and len(name) < 200 and "\u202e" not in name:
            assert shown == name, user
    by_command_line = json.loads(server.run("user", "list", "--json").stdout)
    found = {user["id"]: user.get("display_name") for user in by_command_line}
    assert {key: found[key] for key in seen} == {
        user["id"]: user.get("display_name") for user in users
    }
    # The local user of that name is who it was.
    assert server.login("otto")


def ascii_marks(name):
    """The name without combining marks, which `\\w` of Python does not know."""
    return "".join("a" if unicodedata.category(c).startswith("M") else c for c in name)

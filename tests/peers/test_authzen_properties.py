"""Generated bundles and catalogs: a search finds exactly what evaluations permit, on every page."""

import json
import os
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from decision_point import EVALUATIONS, DecisionPoint
from demo import ADMIN
from server import until

# How many bundles and catalogs: always the same few, or so many others.
LONG_RUN = os.environ.get("CEDARGATE_AUTHZEN_BUNDLES")
EXAMPLES = int(LONG_RUN or 12)
BATCH = 250
generated = settings(
    max_examples=EXAMPLES,
    derandomize=LONG_RUN is None,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

GROUPS = ("g0", "g1", "g2", "g3")
PEOPLE = ("p0", "p1", "p2", "p3", "p4", "p5", "p6")
THINGS = ("t0", "t1", "t2", "t3", "t4")
WORDS = ("blue", "red")
ACTIONS = ("view", "edit")
SCHEMA = """
namespace Own {
  entity Group in [Group];
  @authzen("person")
  entity Person in [Group] = { "level": Long, "colour"?: String, "friend"?: Person };
  @authzen("thing")
  entity Thing in [Group] = { "owner": Person, "is_open"?: Bool, "labels": Set<String> };
  @authzen("view")
  action "viewThing" appliesTo {
    principal: [Person], resource: [Thing], context: { "soft"?: Bool, "helper"?: Person }
  };
  @authzen("edit")
  action "editThing" appliesTo {
    principal: [Person], resource: [Thing], context: { "soft"?: Bool, "helper"?: Person }
  };
}
"""


def one_of(*choices):
    return st.sampled_from(choices)


def uid(kind, identifier):
    return {"type": f"Own::{kind}", "id": identifier}


def named(kind, identifier):
    return f'Own::{kind}::"{identifier}"'


# Policies.

CONDITIONS = st.one_of(
    one_of(
        "resource.owner == principal",
        "resource has is_open && resource.is_open",
        "principal has friend && principal.friend == resource.owner",
        "principal has colour && resource.labels.contains(principal.colour)",
        "context has soft && context.soft",
        "context has helper && context.helper == principal",
        "context has helper && context.helper.level > 1",
        # Fails for levels above 1.
        "principal.level * 9223372036854775807 > 0",
    ),
    st.builds("principal.level >= {}".format, st.integers(0, 3)),
    st.builds('principal has colour && principal.colour == "{}"'.format, one_of(*WORDS)),
    st.builds('resource.labels.contains("{}")'.format, one_of(*WORDS)),
    st.builds(lambda group: f"principal in {named('Group', group)}", one_of(*GROUPS)),
    st.builds(lambda group: f"resource in {named('Group', group)}", one_of(*GROUPS)),
    st.builds(lambda person: f"principal == {named('Person', person)}", one_of(*PEOPLE)),
    st.builds(lambda person: f"resource.owner == {named('Person', person)}", one_of(*PEOPLE)),
    st.builds(lambda thing: f"[{named('Thing', thing)}].contains(resource)", one_of(*THINGS)),
)
PRINCIPALS = st.one_of(
    st.just("principal"),
    st.just("principal is Own::Person"),
    st.builds(lambda group: f"principal in {named('Group', group)}", one_of(*GROUPS)),
    st.builds(lambda person: f"principal == {named('Person', person)}", one_of(*PEOPLE)),
)
RESOURCES = st.one_of(
    st.just("resource"),
    st.builds(lambda group: f"resource in {named('Group', group)}", one_of(*GROUPS)),
    st.builds(lambda thing: f"resource == {named('Thing', thing)}", one_of(*THINGS)),
)
OWN_ACTIONS = one_of(
    'action == Own::Action::"viewThing"',
    'action == Own::Action::"editThing"',
    'action in [Own::Action::"viewThing", Own::Action::"editThing"]',
)


@st.composite
def policy(draw):
    effect = draw(one_of("permit", "permit", "permit", "forbid"))
    scope = ", ".join([draw(PRINCIPALS), draw(OWN_ACTIONS), draw(RESOURCES)])
    text = f"{effect} ({scope})"
    for clause in draw(one_of((), ("when",), ("when",), ("when", "unless"))):
        text += f"\n{clause} {{ {draw(CONDITIONS)} }}"
    return text + ";\n"


# Entities and questions.

PERSON = st.fixed_dictionaries(
    {"level": st.integers(0, 3)},
    optional={
        "colour": one_of(*WORDS),
        "friend": st.builds(lambda person: uid("Person", person), one_of(*PEOPLE)),
    },
)
THING = st.fixed_dictionaries(
    {
        "owner": st.builds(lambda person: uid("Person", person), one_of(*PEOPLE)),
        "labels": st.lists(one_of(*WORDS), unique=True),
    },
    optional={"is_open": st.booleans()},
)
GROUPS_OF = st.lists(one_of(*GROUPS), unique=True, max_size=2)
# Of these some are undeclared.
PERSON_SAID = st.fixed_dictionaries(
    {},
    optional={
        "level": st.integers(0, 3),
        "colour": one_of(*WORDS),
        "friend": one_of(*PEOPLE),
        "shoe_size": st.integers(),
    },
)
THING_SAID = st.fixed_dictionaries(
    {},
    optional={
        "owner": one_of(*PEOPLE),
        "labels": st.lists(one_of(*WORDS), unique=True),
        "is_open": st.booleans(),
        "weight": st.none(),
    },
)
CONTEXT = st.fixed_dictionaries(
    {}, optional={"soft": st.booleans(), "helper": one_of(*PEOPLE), "hostname": st.text(max_size=3)}
)


@st.composite
def entities(draw):
    """Groups that are in groups after them only, and people and things, alike ones among them."""
    found = []
    for at, group in enumerate(GROUPS):
        above = draw(st.lists(one_of(*GROUPS[at + 1 :]), unique=True)) if at < 3 else []
        found.append({"uid": uid("Group", group), "parents": [uid("Group", g) for g in above]})
    people, things = draw(st.lists(PERSON, min_size=1, max_size=3)), draw(THING)
    for person in PEOPLE:
        parents = [uid("Group", group) for group in draw(GROUPS_OF)]
        entity = {"uid": uid("Person", person), "attrs": draw(one_of(*people)), "parents": parents}
        found.append(entity)
    for thing in THINGS:
        parents = [uid("Group", group) for group in draw(GROUPS_OF)]
        attributes = draw(st.one_of(st.just(things), THING))
        found.append({"uid": uid("Thing", thing), "attrs": attributes, "parents": parents})
    return found


@st.composite
def question(draw):
    """What is asked about each pair: an action, what callers say of both sides, and a context."""
    return {
        "action": {"name": draw(one_of(*ACTIONS))},
        "subject": draw(st.one_of(st.just({}), PERSON_SAID)),
        "resource": draw(st.one_of(st.just({}), THING_SAID)),
        "context": draw(st.one_of(st.just({}), CONTEXT)),
        "limit": draw(st.integers(1, 7)),
    }


class Bundles(DecisionPoint):
    """A server whose own policies and entities are replaced again and again."""

    def __init__(self, folder):
        super().__init__(folder, "authzen-certification", CEDARGATE_GATE_CASES="off")
        schema = self.policies / "schema.cedarschema"
        schema.write_text(schema.read_text() + SCHEMA)

    def start(self):
        super().start()
        self.is_marked = False
        self.admin = {"Authorization": f"Bearer {self.login(ADMIN)}"}
        return self

    def replace(self, policies, entities=()):
        text = "\n".join(
            f'@id("own-{at}")\n@reason("x")\n{policy}' for at, policy in enumerate(policies)
        )
        (self.policies / "own.cedar").write_text(text)
        (self.policies / "own.entities.json").write_text(json.dumps(list(entities)))
        reloaded = self.post("/admin/policies/reload", headers=self.admin)
        assert reloaded.status_code == 200, f"{reloaded.text}\n{text}"

    def apply(self, catalog):
        """Applies a catalog, and waits until the server decides by it."""
        self.is_marked = not self.is_marked
        visibility = "public" if self.is_marked else "private"
        file = self.folder / "generated.toml"
        file.write_text(catalog + MARKER.format(MARKED, visibility, USERS[0]))
        self.run("catalog", "apply", "--allow-removing", "1000", file)
        question = {
            "subject": {"type": "anonymous", "id": "anonymous"},
            "action": {"name": "read"},
            "resource": {"type": "dataset", "id": MARKED},
        }
        until(lambda: self.permitted([question]) == [self.is_marked], "catalog in force")

    def permitted(self, items):
        """For each question, whether it is permitted."""
        decisions = []
        for first in range(0, len(items), BATCH):
            batch = {"evaluations": items[first : first + BATCH]}
            found = self.answer(EVALUATIONS, batch)["evaluations"]
            assert len(found) == len(batch["evaluations"])
            decisions += [answer["decision"] for answer in found]
        return decisions

    def found(self, kind, question, limit):
        """The results of a search, over pages of `limit`."""
        path, page, results = f"/access/v1/search/{kind}", {"limit": limit}, []
        while True:
            answer = self.answer(path, {**question, "page": page})
            assert len(answer["results"]) <= limit
            results += answer["results"]
            token = answer["page"]["next_token"]
            if not token:
                return results
            page = {"token": token}

    def assert_searches_are_evaluations(self, asked, subjects, resources, actions):
        """Asks about every pair, and then each search for its side of the pairs.

        `subjects` and `resources` are a type and ids; what `asked` says of a side is said of each.
        """
        context, limit = asked["context"], asked["limit"]

        def side(kind, identifier, said):
            entity = {"type": kind} if identifier is None else {"type": kind, "id": identifier}
            return {**entity, "properties": said} if said else entity

        def subject(identifier=None):
            return side(subjects[0], identifier, asked["subject"])

        def resource(identifier=None):
            return side(resources[0], identifier, asked["resource"])

        triples = [(s, a, r) for s in subjects[1] for a in actions for r in resources[1]]
        items = [
            {
                "subject": subject(s),
                "action": {"name": a},
                "resource": resource(r),
                "context": context,
            }
            for s, a, r in triples
        ]
        permitted = {
            triple
            for triple, is_permitted in zip(triples, self.permitted(items), strict=True)
            if is_permitted
        }
        name = asked["action"]["name"]
        more = {"action": {"name": name}, "context": context}
        for r in resources[1]:
            search = {"subject": subject(), "resource": resource(r), **more}
            ids = [result["id"] for result in self.found("subject", search, limit)]
            assert ids == sorted(ids)
            assert set(ids) == {s for s, a, other in permitted if (a, other) == (name, r)}, search
        for s in subjects[1]:
            search = {"subject": subject(s), "resource": resource(), **more}
            ids = [result["id"] for result in self.found("resource", search, limit)]
            assert ids == sorted(ids)
            assert set(ids) == {r for other, a, r in permitted if (other, a) == (s, name)}, search
        for s, r in zip(subjects[1], resources[1], strict=False):
            search = {"subject": subject(s), "resource": resource(r), "context": context}
            names = [result["name"] for result in self.found("action", search, limit)]
            assert names == sorted(names)
            wanted = {a for other, a, thing in permitted if (other, thing) == (s, r)}
            assert set(names) & set(actions) == wanted, search


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    point = Bundles(tmp_path_factory.mktemp("bundles"))
    try:
        yield point.start()
    finally:
        point.stop()


@generated
@given(policies=st.lists(policy(), min_size=1, max_size=6), entities=entities(), asked=question())
def test_searches_of_own_types_are_what_evaluations_say(bundles, policies, entities, asked):
    bundles.replace(policies, entities)
    bundles.assert_searches_are_evaluations(asked, ("person", PEOPLE), ("thing", THINGS), ACTIONS)


# Users and datasets.

ROLES = ("crew", "staff")
USERS = ("ann", "ben", "cleo", "dora", "emil")
DATASETS = tuple(str(uuid.UUID(int=0xDA7A << 64 | number)) for number in range(6))
# A dataset that everybody may read after every other catalog.
MARKED = str(uuid.UUID(int=0xDA7A << 64 | 0xFFFF))
MARKER = """\
[[datasets]]
id = "{}"
title = "Marker"
visibility = "{}"
record_status = "published"
owner = "{}"
"""
CATALOG_ACTIONS = ("read", "discover", "administer", "share")
CATALOG_POLICIES = one_of(
    'permit (principal in Role::"crew", action == Action::"read", resource)\n'
    'when { resource.hasTag("theme") && resource.getTag("theme").contains("sea") };\n',
    'permit (principal is User, action in [Action::"read", Action::"discover"], resource)\n'
    'when { principal.username like "*e*" && resource.title like "*1" };\n',
    'forbid (principal, action == Action::"read", resource)\n'
    'when { resource.hasTag("theme") && resource.getTag("theme").contains("sky") }\n'
    'unless { principal in Role::"admin" };\n',
    'permit (principal, action == Action::"administer", resource)\n'
    "when { principal is User && resource has owner && resource.owner == principal };\n",
    'forbid (principal in Role::"staff", action == Action::"discover", resource)\n'
    'when { context.address.isInRange(ip("192.0.2.0/24")) };\n',
    f'permit (principal, action == Action::"read", resource == Dataset::"{DATASETS[2]}");\n',
)


@st.composite
def catalog(draw):
    """A catalog file with the roles of each user, and the visibility and shares of each dataset."""
    text = "".join(f'[[roles]]\nname = "{role}"\n' for role in ROLES)
    for username in USERS:
        roles = json.dumps(draw(st.lists(one_of(*ROLES), unique=True)))
        disabled = "disabled = true\n" if draw(st.integers(0, 4)) == 0 else ""
        text += f'[[users]]\nusername = "{username}"\nroles = {roles}\n{disabled}'
    for number, dataset in enumerate(DATASETS):
        visibility = draw(one_of("public", "internal", "restricted", "restricted", "private"))
        status = draw(one_of("published", "published", "draft"))
        text += f'[[datasets]]\nid = "{dataset}"\ntitle = "Dataset {number % 3}"\n'
        text += f'visibility = "{visibility}"\nrecord_status = "{status}"\n'
        text += f'owner = "{draw(one_of(*USERS))}"\n'
        text += f"tags = {{ theme = {json.dumps([draw(one_of('sea', 'sky', 'land'))])} }}\n"
        text += f"reader_roles = {json.dumps(draw(st.lists(one_of(*ROLES), unique=True)))}\n"
        readers = ", ".join(
            draw(one_of('"{0}"', '{{ name = "{0}", until = 2001-01-01T00:00:00Z }}')).format(name)
            for name in draw(st.lists(one_of(*USERS), unique=True, max_size=2))
        )
        text += f"reader_users = [{readers}]\n"
    return text


@generated
@given(
    catalog=catalog(),
    policies=st.lists(CATALOG_POLICIES, max_size=3, unique=True),
    action=one_of(*CATALOG_ACTIONS),
    limit=st.integers(1, 7),
    properties=one_of({}, {"roles": ["admin"]}, {"visibility": "public"}),
)
def test_searches_of_the_catalog_are_what_evaluations_say(
    bundles, catalog, policies, action, limit, properties
):
    bundles.apply(catalog)
    bundles.replace(policies)
    asked = {
        "action": {"name": action},
        "subject": properties,
        "resource": properties,
        "context": {},
        "limit": limit,
    }
    listed = bundles.get("/admin/users?limit=100", headers=bundles.admin).json()
    ids = sorted(user["id"] for user in listed["items"])
    assert len(ids) >= len(USERS)
    datasets = bundles.get("/admin/datasets?limit=100", headers=bundles.admin).json()["items"]
    assert {dataset["id"] for dataset in datasets} >= set(DATASETS)
    # `user` is a type of the example's own.
    bundles.assert_searches_are_evaluations(
        asked, ("User", ids), ("dataset", [found["id"] for found in datasets]), CATALOG_ACTIONS
    )

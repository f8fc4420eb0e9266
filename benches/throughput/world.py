"""What the measured servers hold: files, catalogs, sessions and policies, by public commands."""

import shutil
import struct
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from processes import BenchError

ROLES = 20
FILES = 200
PASSWORD = "correct-horse-battery-staple"
# Of `PASSWORD`, at the server's own cost: ten thousand users need not be hashed.
PASSWORD_HASH = (
    "$argon2id$v=19$m=19456,t=2,p=1$luT5PsAZtbyXQ/YPK7wzPg"
    "$g7y/dk+thp9I1d7/uyajTjEktmvHVHJrDup88IAJJH4"
)
# A catalog file may have 16 MiB.
DATASETS_PER_FILE = 50_000
POLICIES_PER_FILE = 500
LOGIN_THREADS = 4
OPEN_TO_USERS = (
    'resource.visibility == Visibility::"internal" && '
    'resource.record_status == RecordStatus::"published"'
)
# Policies differ in more than names, as those of people do.
CONDITIONS = [
    'resource.title like "{} *"',
    'resource.hasTag("theme") && resource.getTag("theme").contains("theme-{}")',
    'resource has owner && resource.owner != principal && resource.title != "Owned {}"',
    'principal.username like "{}*"',
    '!resource.reader_users.contains(principal) && resource.title != "{}"',
    '(principal.hasTag("group-{}") || principal has issuer)',
    'resource.title == "Dataset {}"',
]
DIRECTORY_END = 8 + 2 + 8 * 12 + 4


def write_tiff(path, length, first=0):
    """A complete TIFF of one row, with other content for each `first`."""
    width = length - DIRECTORY_END
    entries = [
        (256, 4, width),  # ImageWidth
        (257, 4, 1),  # ImageLength
        (258, 3, 8 << 16),  # BitsPerSample
        (259, 3, 1 << 16),  # Compression: none
        (262, 3, 1 << 16),  # PhotometricInterpretation: black is zero
        (273, 4, DIRECTORY_END),  # StripOffsets
        (278, 4, 1),  # RowsPerStrip
        (279, 4, width),  # StripByteCounts
    ]
    head = b"MM\0*\0\0\0\x08" + struct.pack(">H", len(entries))
    for tag, kind, value in entries:
        head += struct.pack(">HHII", tag, kind, 1, value)
    head += bytes(4)
    block = struct.pack(">I", first) + bytes(at * 31 % 251 for at in range((1 << 16) - 4))
    with open(path, "wb") as file:
        file.write(head)
        while width > 0:
            width -= file.write(block[:width])


def dataset_id(number):
    """Random to the eye, so that neighbours in the list are none in the database."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"dataset {number}"))


def visibility_of(number):
    """Half of the datasets are public, half restricted to a role; both for each role."""
    return "public" if number // ROLES % 2 == 0 else "restricted"


@dataclass
class World:
    """The lists that wrk picks from."""

    datasets: Path  # one id a line; dataset n is readable by the roles of principal n, modulo ROLES
    public: Path
    tokens: Path  # one session token a line


def user_text(number):
    return (
        f'[[users]]\nusername = "user-{number}"\npassword_hash = "{PASSWORD_HASH}"\n'
        f'roles = ["role-{number % ROLES}"]\n'
    )


def dataset_text(number, principals):
    role = f'reader_roles = ["role-{number % ROLES}"]\n'
    return (
        f'[[datasets]]\nid = "{dataset_id(number)}"\ntitle = "Dataset {number}"\n'
        f'visibility = "{visibility_of(number)}"\nrecord_status = "published"\n'
        f'owner = "user-{number * 7919 % principals}"\nfile = "file-{number % FILES}.tif"\n'
        + (role if visibility_of(number) == "restricted" else "")
    )


def add_users(gate, principals):
    """Users, each with one of the roles."""
    folder = gate.folder / "catalog"
    folder.mkdir(parents=True)
    file = folder / "users.toml"
    roles = "".join(f'[[roles]]\nname = "role-{number}"\n' for number in range(ROLES))
    file.write_text(roles + "".join(user_text(number) for number in range(principals)))
    gate.command("catalog", "apply", file)
    return World(folder / "datasets", folder / "public", folder / "tokens")


def add_datasets(gate, numbers, principals, progress=lambda text: None):
    """Applies the datasets with these numbers, in as many files as it takes."""
    folder = gate.folder / "catalog"
    for number in range(FILES):
        path = folder / f"file-{number}.tif"
        if not path.exists():
            write_tiff(path, 4096, number)
    for start in range(numbers.start, numbers.stop, DATASETS_PER_FILE):
        some = range(start, min(start + DATASETS_PER_FILE, numbers.stop))
        progress(f"catalog apply: datasets {some.start} to {some.stop} of {numbers.stop}")
        file = folder / "datasets.toml"
        file.write_text("".join(dataset_text(number, principals) for number in some))
        gate.command("catalog", "apply", file)


def list_datasets(world, count):
    """Writes the lists of the datasets with the first numbers."""
    ids = [dataset_id(number) for number in range(count)]
    world.datasets.write_text("".join(f"{text}\n" for text in ids))
    public = (text for number, text in enumerate(ids) if visibility_of(number) == "public")
    world.public.write_text("".join(f"{text}\n" for text in public))


def sign_in_all(gate, world, principals):
    """Signs every user in, and writes the session tokens down."""
    with ThreadPoolExecutor(LOGIN_THREADS) as pool:
        tokens = pool.map(lambda number: gate.login(f"user-{number}", PASSWORD), range(principals))
        world.tokens.write_text("".join(f"{token}\n" for token in tokens))


def only_first(path, count):
    """A list of the first lines alone."""
    short = path.with_name(f"{path.name}-first")
    with open(path) as file:
        short.write_text("".join(next(file) for _ in range(count)))
    return short


def add_file(gate, identity, size):
    """A public dataset with a file of `size` bytes; the path of the file in the file store."""
    folder = gate.folder / "large"
    folder.mkdir(parents=True)
    write_tiff(folder / "large.tif", size)
    (folder / "catalog.toml").write_text(
        f'[[datasets]]\nid = "{identity}"\ntitle = "Large"\nvisibility = "public"\n'
        'record_status = "published"\nfile = "large.tif"\n'
    )
    gate.command("catalog", "apply", folder / "catalog.toml")
    (folder / "large.tif").unlink()
    stored = [path for path in (gate.data / "files").rglob("*")
              if path.is_file() and path.stat().st_size == size]  # fmt: skip
    if len(stored) != 1:
        raise BenchError(f"{len(stored)} files of {size} bytes are in the file store")
    return stored[0]


def policy_text(number, is_edited=False):
    """A policy among many. Of five, two name a dataset, two a role and one a user.

    All keep the shipped invariants and cases. The edited one has a condition more.
    """
    entity = dataset_id(-number - 1)
    # Some are about a role of the demo, so that there is something to evaluate for its users.
    role = "hydrology" if number % 500 == 1 else f"team-{number}"
    dataset = f'principal is User, action == Action::"read", resource == Dataset::"{entity}"'
    both = '[Action::"read", Action::"discover"]'
    scope = [
        dataset,
        f'principal in Role::"{role}", action == Action::"read", resource',
        dataset,
        f'principal in Role::"{role}", action in {both}, resource',
        f'principal == User::"{entity}", action == Action::"read", resource',
    ][number % 5]
    conditions = [CONDITIONS[number % len(CONDITIONS)].format(number)]
    if is_edited:
        conditions.append(CONDITIONS[(number + 3) % len(CONDITIONS)].format("edited"))
    if number % 25 == 0:
        # Closes the dataset. Invariants say that admins may do everything.
        effect, end = "forbid", ' unless { principal in Role::"admin" }'
    else:
        effect, end = "permit", ""
        conditions.insert(0, OPEN_TO_USERS)
    return (
        f'@id("bench-{number}") @reason("Policy {number} of the bench.")\n'
        f"{effect} ({scope})\nwhen {{ {' && '.join(conditions)} }}{end};\n"
    )


def policy_file(folder, number):
    return Path(folder) / f"bench-{number // POLICIES_PER_FILE}.cedar"


def write_policies(folder, shipped, count):
    """The shipped policy folder, with `count` policies more."""
    shutil.copytree(shipped, folder, dirs_exist_ok=True)
    for start in range(0, count, POLICIES_PER_FILE):
        numbers = range(start, min(start + POLICIES_PER_FILE, count))
        policy_file(folder, start).write_text("".join(policy_text(number) for number in numbers))


def edit_policy(folder, edited, count):
    """Changes one policy, with a file that replaces the old one whole."""
    file = policy_file(folder, edited)
    start = edited // POLICIES_PER_FILE * POLICIES_PER_FILE
    numbers = range(start, min(start + POLICIES_PER_FILE, count))
    new = file.with_name(f".{file.name}.new")
    new.write_text("".join(policy_text(number, number == edited) for number in numbers))
    new.rename(file)

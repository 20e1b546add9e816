"""edge/wire/trust.md says what the programs do; its example is what they make."""

import re

from edge.adapters.trust import client, schedule, sources
from edge.wire import repository, trust
from provisioning import repository as provisioned
from server_stub.collecting import trust_publisher as server
from tests import ROOT
from tests.realm import Realm, key

PAGE = (ROOT / "edge" / "wire" / "trust.md").read_text("utf-8")
AT_S = 1_800_000_000
DAY_S = 86_400


def block(name: str) -> str:
    (found,) = re.findall(rf"```\w+ {name}\n(.*?)\n```", PAGE, re.DOTALL)
    return str(found)


def example() -> Realm:
    document = trust.Issuers(1, AT_S, [trust.IssuerEntry("city", [], 86400)])
    (rules,) = re.findall(r"The site's document is `(.*?)`", PAGE)
    realm = Realm(AT_S, document, rules=rules.encode())
    realm.status("city", b"(the list)", AT_S)
    realm.publish(AT_S + 60)
    return realm


def test_the_example_is_what_is_signed() -> None:
    files = example().files
    sent = sorted(repository.current(files), key=repository.order)
    assert sent == block("files").splitlines()
    assert files[repository.TIMESTAMP].decode() == block("timestamp")
    assert files[repository.metadata_file("site/campus", AT_S)].decode() == block("site")
    assert f"`{key('timestamp').public.hex()}`" in PAGE


def test_the_roles_and_their_paths() -> None:
    example_paths = {
        "issuers.json": ("issuers", "issuers.json"),
        "site/<site>.json": ("site/<site>", "site/<site>.json"),
        "status/<issuer>/<list>.cwt": ("status/<issuer>", "status/<issuer>/*.cwt"),
        "keys/<issuer>.json": ("keys/<issuer>", "keys/<issuer>.json"),
    }
    for path, (role, pattern) in example_paths.items():
        assert repository.role_of(path) == role
        assert repository.paths_of(role) == pattern
        assert re.search(rf"^\| `{re.escape(path)}` \|.*\| `{re.escape(role)}` \|", PAGE, re.M)
        assert f"`{pattern}`" in PAGE
    assert f"`{repository.TOPIC}/`" in PAGE
    assert f"`{repository.SIGNED_S}`" in PAGE


def test_the_lifetimes() -> None:
    for role, holds_s in (
        ("root", provisioned.ROOT_S),
        ("targets", provisioned.LIFE_S["targets"]),
        ("snapshot", repository.SNAPSHOT_S),
        ("timestamp", repository.TIMESTAMP_S),
    ):
        assert re.search(rf"^\| `{role}` \|.*\| {holds_s // DAY_S} days \|$", PAGE, re.M), role
    life = provisioned.LIFE_S
    assert f"`issuers` holds for {life['issuers'] // DAY_S} days" in PAGE
    assert f"`site/<site>` for {life['site'] // DAY_S}" in PAGE
    assert f"`keys/<issuer>` for {life['keys'] // DAY_S}" in PAGE
    assert f"`status/<issuer>` for {server.STATUS_S // DAY_S}" in PAGE
    assert f"the timestamp ends after {repository.TIMESTAMP_S // DAY_S} days" in PAGE


def test_the_bounds() -> None:
    flat = " ".join(PAGE.split())
    assert f"No file is larger than {repository.FILE_LEN_MAX >> 20} MiB" in flat
    config = client.CONFIG
    assert f"A root has at most {config.root_max_length >> 10} KiB" in flat
    assert f"a timestamp {config.timestamp_max_length >> 10} KiB" in flat
    assert f"at most {repository.LISTS_MAX} documents" in flat
    assert f"at most {repository.TOTAL_LEN_MAX >> 20} MiB of documents" in flat
    assert f"at most {config.max_root_rotations} roots" in flat
    assert f"at most {sources.INBOX_LEN_MAX >> 20} MiB from the broker" in flat
    assert f"every {schedule.LOOK_S:.0f} s" in flat

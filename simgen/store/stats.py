"""A version's statistics as stored: one object beside the commit, computed when first asked for."""

from __future__ import annotations

import json

from simgen.store import writer
from simgen.store.layout import canonical_json, stats_path
from simgen.store.objects import Objects
from simgen.store.shard import IntegrityError
from simgen.store.tables import MEND
from simgen.store.versions import RequestError, Version


def stored(objects: Objects, version: Version) -> dict | None:
    """The version's statistics; None: nobody has computed them.

    Raises:
        IntegrityError: They are damaged, or another version's.
    """
    key = stats_path(version.version)
    try:
        data = objects.get(key)
    except FileNotFoundError:
        return None
    try:
        told = json.loads(data)
        given, of = told.pop("xxh3"), told["of"]
        whole = writer.digest(canonical_json(told)) == given and of == _name(version)
    except (ValueError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole or encode(version, told) != data:
        raise IntegrityError(f"{objects.url}/{key} is damaged; {MEND}")
    return told


def read(objects: Objects, version: Version) -> dict:
    """The version's statistics.

    Raises:
        RequestError: Nobody has computed them; the message says how.
        IntegrityError: As stored().
    """
    found = stored(objects, version)
    if found is None:
        raise RequestError(
            f"{objects.url} has no statistics of version {version.version}; "
            f"`simgen stats {objects.url} --version {version.version}` computes them"
        )
    return found


def encode(version: Version, told: dict) -> bytes:
    """The statistics as an object that vouches for itself and names its version's commit."""
    told = told | {"of": _name(version)}
    return canonical_json(told | {"xxh3": writer.digest(canonical_json(told))})


def _name(version: Version) -> str:
    return writer.digest(version.to_bytes())

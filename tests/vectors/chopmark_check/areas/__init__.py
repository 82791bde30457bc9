"""What the folders of vectors hold: one module an area, its operations by their names."""

from types import ModuleType

from . import (
    body,
    chain,
    content,
    derivation,
    dh,
    handshake,
    header,
    identity,
    kem,
    link,
    prekey,
    root,
    session,
    sessions,
    signature,
)

MODULES = (
    derivation,
    dh,
    signature,
    kem,
    identity,
    link,
    prekey,
    handshake,
    header,
    chain,
    root,
    body,
    session,
    sessions,
    content,
)
AREAS: dict[str, ModuleType] = {
    module.__name__.rpartition(".")[2].replace("_", "-"): module for module in MODULES
}

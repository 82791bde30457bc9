"""What the folders of vectors hold: one module an area, its operations by their names."""

from types import ModuleType

from . import body, chain, derivation, dh, handshake, header, identity, kem, root, signature

AREAS: dict[str, ModuleType] = {
    module.__name__.rpartition(".")[2].replace("_", "-"): module
    for module in (derivation, dh, signature, kem, identity, header, chain, root, body, handshake)
}

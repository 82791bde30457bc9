"""What the folders of vectors hold: one module an area, its operations by their names."""

from types import ModuleType

from . import chain, derivation, header, root

AREAS: dict[str, ModuleType] = {
    module.__name__.rpartition(".")[2].replace("_", "-"): module
    for module in (derivation, header, chain, root)
}

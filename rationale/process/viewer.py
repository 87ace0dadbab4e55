"""The viewer's server: Streamlit, with the viewer's own package `app` whatever else goes by that name."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import rationale

PACKAGE = "app"


def use_own_package() -> None:
    """Import `app` from beside this package: a user's project often has one of that name on PYTHONPATH."""
    folder = Path(rationale.__file__).resolve().parents[1] / PACKAGE
    found = sys.modules.get(PACKAGE)
    if found is not None and Path(found.__file__ or "").resolve().parent == folder:
        return
    spec = spec_from_file_location(PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)])
    assert spec is not None
    assert spec.loader is not None
    sys.modules[PACKAGE] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules[PACKAGE])


def main() -> None:
    """Serve the script that the command line names."""
    from streamlit.web.cli import main as streamlit

    use_own_package()
    streamlit(prog_name="streamlit")


if __name__ == "__main__":
    main()

"""Networks: MSAF, the live emotion network and its weights. Importing this package is cheap.

`from models import MSAF` works; torch is imported when the name is first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.msaf import MSAF, MSAFConfig

__all__ = ["MSAF", "MSAFConfig"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from models import msaf

        return getattr(msaf, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

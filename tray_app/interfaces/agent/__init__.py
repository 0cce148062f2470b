"""Other programs: the socket that hands them tokens, and `LamplighterAuth` for those in Python."""

TYPE_CHECKING = False  # see tray_app/__init__.py
if TYPE_CHECKING:
    from tray_app.interfaces.agent.httpx_auth import LamplighterAuth

__all__ = ["LamplighterAuth"]


def __getattr__(name: str) -> object:
    if name == "LamplighterAuth":
        from tray_app.interfaces.agent.httpx_auth import LamplighterAuth

        return LamplighterAuth
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Lamplighter: a lamp in the tray that is lit while your OAuth tokens are fresh."""

TYPE_CHECKING = False  # as type checkers read it; `typing` itself would cost `lamplighter token` half its time
if TYPE_CHECKING:
    from tray_app._version import __version__
    from tray_app.engine.refresh_timer import RefreshTimer
    from tray_app.interfaces.agent.httpx_auth import LamplighterAuth

__all__ = ["LamplighterAuth", "RefreshTimer", "__version__"]


def __getattr__(name: str) -> object:
    # Late, so that `import tray_app` costs nothing to commands that need no scheduler and no HTTP.
    if name == "LamplighterAuth":
        from tray_app.interfaces.agent.httpx_auth import LamplighterAuth

        return LamplighterAuth
    if name == "RefreshTimer":
        from tray_app.engine.refresh_timer import RefreshTimer

        return RefreshTimer
    if name == "__version__":
        from tray_app._version import __version__

        return __version__
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

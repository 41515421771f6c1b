"""The files that pages need: they come from here, and are asked for once."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Assets:
    """The files of *folder* in memory; a few of them, and small."""

    def __init__(self, folder: Path) -> None:
        self._files = {
            path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in _TYPES
        }
        self._marks = {name: sha256(text).hexdigest()[:12] for name, text in self._files.items()}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self._files)} files>"

    def url(self, name: str) -> str:
        """Where *name* is; another one when the file changes, so that it can be kept for long."""
        return f"/static/{name}?{self._marks[name]}"

    async def answer(self, request: Request) -> Response:
        """Serve one of them."""
        name = request.path_params["name"]
        text = self._files.get(name)
        if text is None:
            return PlainTextResponse("there is no such file\n", 404)
        age = 31_536_000 if request.url.query == self._marks[name] else 0
        headers = {"Cache-Control": f"public, max-age={age}, immutable"}
        return Response(text, media_type=_TYPES[Path(name).suffix], headers=headers)

"""Where the service is and who asks: the options of all commands that talk to it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tenantpool.client.target import Target
    from tenantpool.v1.admin_service_pb2 import WatchRequest, WatchResponse

_LONGEST_CALL = 60.0

TargetOption = Annotated[
    str,
    typer.Option(
        envvar="TENANTPOOL_TARGET",
        help="Where the service is: unix:/folder or host:port (default: where `tenantpool serve` "
        "puts its folder if it is told nothing).",
        show_default=False,
    ),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        help="File with the token that proves who asks (default: TENANTPOOL_TOKEN has it)."
    ),
]
CaOption = Annotated[
    Path | None,
    typer.Option(help="File with the authorities of the service's certificate; means TLS."),
]
CertOption = Annotated[Path | None, typer.Option(help="File with a client certificate; means TLS.")]
KeyOption = Annotated[Path | None, typer.Option(help="File with its private key.")]


def find_target(
    target: str, token_file: Path | None, ca: Path | None, cert: Path | None, key: Path | None
) -> Target:
    """What the options say, or else the environment; the service's own default folder at last."""
    from tenantpool.client.target import TLS, Target
    from tenantpool.service.folder import default_folder

    tls = TLS(ca or "", cert or "", key or "") if ca is not None or cert is not None else None
    return Target.find(target or f"unix:{default_folder()}", _token(token_file), tls)


def _token(file: Path | None) -> str | None:
    """The token in the *file*; None: the environment has it. A command line can be read by all."""
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{file} cannot be read: {error}") from None


class Admin:
    """The service's AdminService; connects when it is first called."""

    def __init__(self, target: Target) -> None:
        self.target = target

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.target.name}>"

    def call(self, method: str, request: Any) -> Any:
        """The answer of that *method*. Blocks, for a minute at most. Raises TenantpoolError."""
        with self.connect() as line:
            return line.call(method, request)

    @contextmanager
    def connect(self) -> Iterator[Line]:
        """For several calls over one connection. Raises TenantpoolError without a certificate."""
        import grpc

        from tenantpool.client.rpc import OPTIONS, credentials
        from tenantpool.errors import TenantpoolError

        target = self.target
        if target.tls is None:
            channel = grpc.insecure_channel(_address(target.name), OPTIONS)
        else:
            try:
                made = credentials(target.tls)
            except OSError as error:
                raise TenantpoolError(f"{error.filename}: {error.strerror}") from None
            channel = grpc.secure_channel(target.name, made, OPTIONS)
        with channel:
            yield Line(channel, target)


class Line:
    """A connection to AdminService."""

    def __init__(self, channel: Any, target: Target) -> None:
        from tenantpool.client.rpc import metadata
        from tenantpool.v1.admin_service_pb2_grpc import AdminServiceStub

        self._stub: Any = AdminServiceStub(channel)  # type: ignore[no-untyped-call]
        self._target = target
        self._metadata = metadata(target)
        self._under_way: list[Any] = []
        self._is_over = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} to {self._target.name}>"

    def call(self, method: str, request: Any) -> Any:
        """The answer of that *method*. Blocks, for a minute at most. Raises TenantpoolError."""
        import grpc

        from tenantpool.client.rpc import from_rpc_error
        from tenantpool.errors import TenantpoolError

        begin = getattr(self._stub, method).future
        call = begin(request, metadata=self._metadata, timeout=_LONGEST_CALL)
        try:
            with self._going_on(call):
                return call.result()
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None
        except grpc.FutureCancelledError:
            raise TenantpoolError(f"{method} was broken off") from None

    def watch(self, request: WatchRequest) -> Iterator[WatchResponse]:
        """The states, as they come. Blocks between them. Raises TenantpoolError."""
        import grpc

        from tenantpool.client.rpc import from_rpc_error

        stream = self._stub.Watch(request, metadata=self._metadata)
        try:
            with self._going_on(stream):
                yield from stream
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None

    def hang_up(self) -> None:
        """Break off what is under way, and what would be begun, from any thread. Does not block."""
        self._is_over = True
        for call in list(self._under_way):
            call.cancel()

    @contextmanager
    def _going_on(self, call: Any) -> Iterator[None]:
        self._under_way.append(call)
        if self._is_over:  # said before there was a call to break off
            call.cancel()
        try:
            yield
        finally:
            self._under_way.remove(call)
            call.cancel()


def administers(command: Callable[..., None]) -> Callable[..., None]:
    """Give *command*, whose first argument is an Admin, the options that say which one it is."""

    def run(
        target: TargetOption = "",
        token_file: TokenFileOption = None,
        tls_ca: CaOption = None,
        tls_cert: CertOption = None,
        tls_key: KeyOption = None,
        **words: Any,
    ) -> None:
        command(Admin(find_target(target, token_file, tls_ca, tls_cert, tls_key)), **words)

    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    more = list(inspect.signature(run, eval_str=True).parameters.values())[:-1]
    named = inspect.Parameter.KEYWORD_ONLY
    parameters = [parameter.replace(kind=named) for parameter in (*own, *more)]
    run.__doc__ = command.__doc__
    run.__name__ = command.__name__
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    vars(run)["__signature__"] = inspect.Signature(parameters)
    return run


def _address(name: str) -> str:
    """A folder of the service as gRPC's target."""
    if not name.startswith("unix:"):
        return name
    path = Path("/" + name.removeprefix("unix:").lstrip("/"))
    return f"unix:{path.with_name('grpc.sock') if path.suffix == '.sock' else path / 'grpc.sock'}"

"""A protocol state is a table of what may be said in it.

`command = State("AUTHENTICATED")` makes the table and the decorator that fills it:

    @command("STATUS")
    def status(session, args): ...

Traits are keywords and live in the table, not in the handlers; which traits a server
knows is written in its session.py.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# how HTTP and SMTP clients begin; whoever says one of these to us does not know whom he talks to (ALPACA), or is
# a proxy whose word nobody has asked for
FOREIGN = frozenset(
    (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT", b"PATCH", b"PRI",
     b"EHLO", b"HELO", b"LHLO", b"MAIL", b"PROXY")
)  # fmt: skip


def is_foreign(line: bytes) -> bool:
    """A first line that no mail client says."""
    return line.split(b" ", 1)[0].upper() in FOREIGN


class Command:
    """One command: its name as the RFC spells it, its handler, its traits."""

    __slots__ = ("name", "run", "traits")

    def __init__(self, name: str, run: Callable[..., Any], traits: frozenset[str]) -> None:
        self.name = name
        self.run = run
        self.traits = traits


class State(dict):  # type: ignore[type-arg]
    """The commands of one protocol state by upper-case name; call it to add one."""

    __slots__ = ("_heirs", "name")

    def __init__(self, name: str, *also: State) -> None:
        super().__init__()
        self.name = name
        self._heirs: list[State] = []
        for state in also:
            self.update(state)
            state._heirs.append(self)

    def __call__(self, name: str, **traits: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorate the handler of the command `name`."""

        def add(run: Callable[..., Any]) -> Callable[..., Any]:
            self._add(Command(name, run, frozenset(trait for trait, on in traits.items() if on)))
            return run

        return add

    def _add(self, command: Command) -> None:
        """Add here and in the states made from this one: extensions may be loaded later."""
        self[command.name] = command
        for heir in self._heirs:
            heir._add(command)

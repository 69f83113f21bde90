"""mailcore.commands: a state is a table that decorators fill."""

from __future__ import annotations

from mailcore.commands import State


def test_a_state_knows_its_commands_and_those_it_includes():
    anytime = State("any")
    anytime("NOOP")(lambda: "noop")
    state = State("SELECTED", anytime)

    @state("FETCH", numbers=True, writes=False)
    def fetch():
        return "fetched"

    assert set(state) == {"NOOP", "FETCH"}
    assert set(anytime) == {"NOOP"}
    assert state["FETCH"].run() == "fetched"
    assert state["FETCH"].traits == {"numbers"}
    assert fetch() == "fetched"


def test_a_command_added_later_reaches_the_states_made_from_this_one():
    first = State("first")
    second = State("second", first)
    third = State("third", second)

    @first("LATE")
    def late():
        pass

    assert second["LATE"].run is third["LATE"].run is late
    assert "LATE" not in State("other")

"""The loop broken on purpose: each time some test must notice, or the tests prove nothing."""

from pathlib import Path

import pytest

from tests.house import mutant

pytestmark = pytest.mark.system  # each run is a process

BROKEN = {  # what is broken: the file, a line, what it says then, the test that notices
    "answers a code in view again and again": (
        "edge/loop.py",
        "if self._in_view.keep_in_view(verdict.subject, decision.why, now.monotonic_s):",
        "if False:",
        "edge/test_street.py::test_quiet_street_answers_every_visit_once[0]",
    ),
    "opens before the opening is counted": (
        "edge/loop.py",
        "        self._world.store.count(cell)\n",
        "        pulse = door_signals.action(decision.signal, 3000 * decision.opens)\n"
        "        self._world.door.apply(pulse)\n"
        "        self._world.store.count(cell)\n",
        "edge/test_promises.py::test_1_a_green_code_opens_with_no_network_at_all",
    ),
    "opens for every decision": (
        "edge/loop.py",
        "if decision.opens and not isinstance(verdict, Refused):",
        "if not isinstance(verdict, Refused):",
        "edge/test_promises.py::test_2_nothing_else_opens[yellow]",
    ),
    "forgets who has passed": (
        "edge/loop.py",
        "            self._lane.commit(opening)\n",
        "            pass\n",
        "edge/test_promises.py::test_2_a_replayed_code_does_not_open_again",
    ),
    "remembers who has passed only as long as the program runs": (
        "edge/loop.py",
        "self._world.memory.save(self._lane.to_save(opening))",
        "pass",
        "edge/test_promises.py::test_2_a_replayed_code_does_not_open_again",
    ),
    "forgets what it has counted": (
        "edge/loop.py",
        "        self._tally.keep(cell)\n",
        "",
        "edge/test_promises.py::test_6_each_opening_is_counted_once",
    ),
    "closes cells and keeps none": (
        "edge/loop.py",
        "            self._world.store.close_cells(closed)\n",
        "            pass\n",
        "edge/test_promises.py::test_6_each_opening_is_counted_once",
    ),
    "pulses while a pulse runs": (
        "edge/loop.py",
        "if not self._world.door.settle():",
        "if False:",
        "edge/test_promises.py::test_5_nothing_below_k_is_ever_told",
    ),
    "takes a poster for a code": (
        "edge/loop.py",
        "        if verdict is None:",
        "        if verdict is None:\n"
        "            self._world.door.apply(door_signals.action(Signal.REFUSED))\n"
        "        if verdict is None:",
        "edge/test_promises.py::test_3_a_poster_is_nobody",
    ),
    "hides a fault": (
        "edge/loop.py",
        "            self._display.show_not_ready(at_s)\n",
        "            pass\n",
        "edge/test_promises.py::test_3_a_fault_is_not_a_refusal",
    ),
    "reports when somebody has passed": (
        "edge/loop.py",
        "        self._tally.keep(cell)\n",
        "        self._tally.keep(cell)\n        self._reporter._counts_due_s = now.monotonic_s\n",
        "edge/test_promises.py::test_1_a_green_code_opens_with_no_network_at_all",
    ),
    "believes any acknowledgement": (
        "edge/wire/report.py",
        "_decode(envelope.verify(data, ACK_KIND, collector), Ack)",
        "_decode(__import__('base64').b64decode(msgspec.json.decode(data)['payload']), Ack)",
        "edge/test_street.py::test_a_forged_acknowledgement_frees_nothing",
    ),
    "reads JSON of any depth": (
        "edge/wire/decode.py",
        "    _check_json_depth(data)\n",
        "",
        "edge/test_street.py::test_deep_messages_from_the_centre_are_dropped",
    ),
    "reads TOML of any depth": (
        "edge/wire/decode.py",
        "    _check_toml_depth(data)\n",
        "",
        "house/test_hostile_documents.py::test_toml",
    ),
    "never looks at the acknowledgements": (
        "edge/report/reporter.py",
        "                    self._take_ack(payload)\n",
        "                    pass\n",
        "edge/test_street.py::test_everything_arrives_once_the_broker_is_back",
    ),
    "stops at the first failure of the camera": (
        "edge/loop.py",
        "except WorldFailure as failure:\n                self._failures.note(",
        "except StoreLost as failure:\n                self._failures.note(",
        "edge/test_promises.py::test_3_a_fault_is_not_a_refusal",
    ),
    "opens for yellow": (
        "edge/judge/site_decision.py",
        "if verdict.colour not in rules.opens:",
        "if verdict.colour > 2:",
        "edge/judge/test_site_decision.py::test_each_line_of_the_table",
    ),
    "lets a suspended company in": (
        "edge/judge/site_decision.py",
        "if rules.suspends(claims.scope, verdict.issuer):",
        "if False:",
        "edge/judge/test_site_decision.py::test_each_line_of_the_table",
    ),
    "opens at any hour": (
        "edge/judge/site_decision.py",
        "if in_hours is False:",
        "if False:",
        "edge/judge/test_site_decision.py::test_each_line_of_the_table",
    ),
    "lets one too many in": (
        "edge/judge/site_decision.py",
        "inside + claims.party > rules.inside_max",
        "inside > rules.inside_max",
        "edge/judge/test_site_decision.py::test_each_line_of_the_table[full]",
    ),
    "opens for whoever it is unsure of": (
        "edge/judge/site_decision.py",
        "return replace(decision, category=category, why=why) if decision.opens else decision",
        "return Decision(True, 1, Signal.OPEN, category, why)",
        "edge/judge/test_site_decision.py::test_unsure_is_shut_unless_the_rule_of_its_kind_opens[Reason.TIME_UNKNOWN]",
    ),
    "is sure of the hour when it is not": (
        "edge/wire/timetable.py",
        "if from_s <= earliest_s and latest_s < until_s:",
        "if from_s <= earliest_s < until_s:",
        "edge/judge/test_site_decision.py::test_hours_that_are_not_certain_are_the_rule_of_time",
    ),
    "takes anybody's word for a grant": (
        "edge/wire/rules.py",
        "if not way.issuers or issuer in way.issuers",
        "if True",
        "edge/wire/test_rules.py::test_a_grant_counts_where_it_is_for_and_only_from_whom_it_may_come",
    ),
    "lets the lights of one action end another's pulse": (
        "edge/adapters/door/gpio_door.py",
        "unlocked = now_s < self._unlocked_until_s",
        "unlocked = now_s < self._unlocked_until_s and self._action.unlock_ms > 0",
        "edge/adapters/door/test_gpio_door.py::test_another_signal_does_not_cut_a_pulse_nor_lengthen_it",
    ),
    "forgets a press between two looks": (
        "edge/adapters/door/gpio_door.py",
        "        self._was = self._was or yes\n",
        "",
        "edge/adapters/door/test_gpio_door.py::test_a_press_between_two_calls_is_told_once[contact]",
    ),
    "reads a contact the wrong way round": (
        "edge/adapters/door/gpio_door.py",
        "bool(self._device.value) != self._yes_is_high",
        "bool(self._device.value) == self._yes_is_high",
        "edge/adapters/door/test_gpio_door.py::test_a_door_at_rest_says_no_to_everything",
    ),
    "believes a contact that bounces": (
        "edge/adapters/door/gpio_door.py",
        "elif now_s - self._differs_since_s >= BOUNCE_S:",
        "else:",
        "edge/adapters/door/test_gpio_door.py::test_a_level_that_no_edge_told_of_is_found_by_looking_and_must_hold",
    ),
    "drives a relay that the kernel leaves on": (
        "edge/adapters/door/gpio_door.py",
        "    if kept:\n",
        "    if False:\n",
        "edge/adapters/door/test_gpio_door.py::test_a_kernel_that_keeps_outputs_drives_no_relay",
    ),
    "lights up while it starts": (
        "edge/adapters/door/gpio_door.py",
        "pin, initial_value=False, pin_factory=self._factory",
        "pin, initial_value=True, pin_factory=self._factory",
        "edge/adapters/door/test_gpio_door.py::test_no_glitch_at_construction_and_low_at_the_end",
    ),
    "calls a passage forced": (
        "edge/doorway/door_alarms.py",
        "max(self._may_open_until_s, until_s + GRACE_S)",
        "self._may_open_until_s",
        "edge/doorway/test_door_alarms.py::test_who_was_let_through_forces_nothing[0.0]",
    ),
    "calls a request to exit forced": (
        "edge/doorway/door_alarms.py",
        "        if exit_pressed:\n",
        "        if False:\n",
        "edge/doorway/test_door_alarms.py::test_a_request_to_exit_excuses_an_opening[0.0]",
    ),
    "calls what it found open forced": (
        "edge/doorway/door_alarms.py",
        'if inputs is None or inputs.level("contact") is None or self._is_first_tick:',
        "if False:",
        "edge/doorway/test_door_alarms.py::test_a_door_that_is_open_from_the_start_was_forced_by_nobody",
    ),
    "calls each way out by the handle forced": (
        "edge/doorway/door_alarms.py",
        "exit_pressed is not None and self._leaf.is_forced(at_s)",
        "self._leaf.is_forced(at_s)",
        "edge/doorway/test_door_alarms.py::test_where_no_exit_button_is_wired_nothing_is_forced",
    ),
    "tells of no forced door": (
        "edge/doorway/door_alarms.py",
        "return self.closed_s is None and self._is_settled(at_s) and not self.may_be_open",
        "return False",
        "edge/doorway/test_door_alarms.py::test_a_door_that_nobody_released_is_forced_and_told_for_a_minute",
    ),
    "beeps during a fire": (
        "edge/doorway/door_alarms.py",
        '        if inputs.level("fire"):',
        "        if False:",
        "edge/doorway/test_door_alarms.py::test_during_a_fire_the_door_may_stand_open_and_the_buzzer_is_quiet",
    ),
    "beeps over a person's signal": (
        "edge/loop.py",
        "elif self._watch.reminder_due and not self._display.is_busy(at_s):",
        "elif self._watch.reminder_due:",
        "edge/doorway/test_door_alarms.py::test_a_rough_doorway_tells_each_forced_door_at_once[42]",
    ),
    "judges behind a latched door": (
        "edge/loop.py",
        "        if self._watch.latched:  # nobody is judged",
        "        if False:  # nobody is judged",
        "edge/doorway/test_door_alarms.py::test_a_latched_door_and_one_that_cannot_be_asked_judge_and_count_nobody[False]",
    ),
    "tells an alarm a minute late": (
        "edge/report/reporter.py",
        "if is_due or changeable != self._changeable_sent:",
        "if is_due:",
        "edge/doorway/test_door_alarms.py::test_a_rough_doorway_tells_each_forced_door_at_once[40]",
    ),
    "moves the regular message for an alarm": (
        "edge/report/reporter.py",
        "is_due = now.monotonic_s >= self._health_due_s\n",
        "is_due = now.monotonic_s >= self._health_due_s or bool(status.alarms)\n",
        "edge/doorway/test_door_alarms.py::test_an_alarm_is_told_at_once_and_moves_no_other_message",
    ),
}


NOTICING = sorted({test for *_, test in BROKEN.values()})


def test_the_whole_house_passes(tmp_path: Path) -> None:
    """Else each change would be noticed by a test that fails anyway."""
    whole = mutant.run(None, NOTICING, tmp_path / "output")
    assert whole.code == 0, f"these tests notice what is not broken:\n{whole.output[-2000:]}"


@pytest.mark.parametrize("how", BROKEN)
def test_its_test_notices(how: str, tmp_path: Path) -> None:
    file, line, other, test = BROKEN[how]
    broken = mutant.run(mutant.Change(file, line, other), [test], tmp_path / "output")
    assert broken.code is not None, f"{test} hangs in a loop that {how}"
    # 0: it did not notice; 2 to 5: it did not even run, which proves nothing.
    assert broken.code == 1, f"{test} does not notice a loop that {how}:\n{broken.output[-2000:]}"
    assert "NameError" not in broken.output, f"a loop that {how} uses a name that does not exist"

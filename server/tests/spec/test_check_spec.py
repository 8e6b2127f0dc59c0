"""check_spec.py passes what is committed, and each fault that is planted in a copy makes it say so."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytestmark = pytest.mark.slow  # `make verify` runs what it tests


class Plant(NamedTuple):
    """Replace `old` by `new` once in spec/`file`; some fault then has to contain `said`."""

    name: str
    file: str
    old: str
    new: str
    said: str


PLANTS = (
    # --- files that cannot be read ---
    Plant("a key twice", "errors.yaml", "version: 1\n", "version: 1\nversion: 1\n", "duplicate key 'version'"),
    Plant("not YAML", "wire.yaml", "limits: ", "limits: [", "wire.yaml: "),
    Plant("a schema that is gone", "openapi.yaml", "./schemas/Queue.yaml", "./schemas/Que.yaml", "schemas/Que is not there"),
    # --- examples ---
    Plant("a wrong answer", "openapi.yaml", "outcome: existing}", "outcome: exists}", "push 200 application/json example existing"),
    Plant("a wrong request", "openapi.yaml", "value: {name: send-welcome,", "value: {nam: send-welcome,", "example nested"),
    Plant("an unknown field", "openapi.yaml", "value: {mode: both}", "value: {mode: both, until: 3}", "pauseQueue application/json example both"),
    Plant("a wrong parameter", "openapi.yaml", "example: emails\n", "example: 17\n", "17 is not of type 'string'"),
    Plant("a wrong member of a schema", "schemas/Job.yaml", "  state: waiting\n", "  state: created\n", "schema Job: "),
    Plant("no example", "openapi.yaml", "\n      example: onboarding-1701\n", "\n", "has no example"),
    Plant("a wrong retryable", "openapi.yaml", "code: INTERNAL_ERROR", "code: INTERNAL_FAULT", "example INTERNAL_ERROR is not of that code"),
    # --- the same in openapi.yaml and wire.yaml ---
    Plant("a missing route", "openapi.yaml", "  /jobs/{id}/promote:\n", "  /jobs/{id}/hurry:\n", "POST /jobs/{id}/promote is missing"),
    Plant("a route too many", "wire.yaml", "'POST /pull', ", "", "no operation has the route POST /pull"),
    Plant("another command", "openapi.yaml", "x-command: push_batch", "x-command: push", "pushBatch: x-command is not push_batch"),
    Plant("another operationId", "openapi.yaml", "operationId: findJobs", "operationId: listJobs", "does not follow findJobs"),
    Plant("an operationId twice", "openapi.yaml", "operationId: findJobs", "operationId: getJob", "getJob"),
    Plant("another retry", "wire.yaml", "    retry: never\n", "    retry: safe\n", "x-retry is not safe"),
    Plant("a token for health", "wire.yaml", "    sdk: health\n    auth: false\n", "    sdk: health\n", "getHealth: its security"),
    Plant("a code too few", "openapi.yaml", "x-error-codes: [INVALID_STATE, LEASE_LOST, LEASE_REQUIRED]", "x-error-codes: [INVALID_STATE, LEASE_LOST]", "409 lacks LEASE_REQUIRED"),
    Plant("a code too many", "wire.yaml", "JOB_NOT_FOUND, INVALID_STATE, DUPLICATE_KEY]", "JOB_NOT_FOUND, INVALID_STATE]", "retry: 409 has DUPLICATE_KEY"),
    Plant("a common code", "wire.yaml", "http: [UNAUTHORIZED, ", "http: [", "401 has UNAUTHORIZED"),
    Plant("another status", "errors.yaml", "status: 507", "status: 503", "507 has STORAGE_FULL"),
    Plant("a field too few", "schemas/JobOptions.yaml", "  jitter:\n", "  jitters:\n", "schemas/JobOptions.yaml lacks the field jitter"),
    Plant("a field too many", "openapi.yaml", "        wait_ms:\n", "        patience_ms:\n", "has the field patience_ms"),
    Plant("another limit", "wire.yaml", "  tags: 32\n", "  tags: 33\n", "tags: max_items is 32, and 33 in wire.yaml"),
    Plant("another default", "schemas/PushItem.yaml", "default: {}", "default: []", "data: default is []"),
    Plant("another type", "schemas/HeartbeatItem.yaml", "type: [integer, 'null']", "type: [number, 'null']", "lease_ms: type is 'number'"),
    Plant("a required field", "openapi.yaml", "required: [progress]", "required: [message]", "progress is required in one of"),
    Plant("an answer's member", "wire.yaml", "answer: {flow_id: string, jobs", "answer: {flow: string, jobs", "lacks flow_id in the answer"),
    Plant("an open request", "schemas/PushItem.yaml", "unevaluatedProperties: false\nexamples", "examples", "lets unknown fields in"),
    Plant("an unbounded string", "schemas/Health.yaml", "version: {type: string, maxLength: 64}", "version: {type: string}", "schema Health.version: a string without maxLength"),
    Plant("an unbounded list", "schemas/Worker.yaml", "type: array, maxItems: 64,", "type: array,", "schema Worker.queues: an array without maxItems"),
    # --- the tables ---
    Plant("a code of no catalogue", "wire.yaml", "errors: [PARSE_ERROR, VALIDATION_ERROR, SHUTTING_DOWN]", "errors: [PARSE_ERROR, VALIDATION_ERROR, SHUT_DOWN]", "pull has an unknown code SHUT_DOWN"),
    Plant("a code that nobody has", "errors.yaml", "  PARTIAL_FAILURE:\n", "  PARTIAL_FAULT:\n", "no operation has PARTIAL_FAULT"),
    Plant("an unknown category", "errors.yaml", "category: conflict", "category: conflicts", "unknown category 'conflicts'"),
    Plant("an unknown limit", "wire.yaml", "max_bytes: data_bytes}", "max_bytes: datum_bytes}", "unknown limit 'datum_bytes'"),
    Plant("a string without a limit", "wire.yaml", "worker_id: {type: string, max_bytes: key_bytes}", "worker_id: {type: string}", "pull.worker_id has no max_bytes"),
    Plant("a default of its own", "wire.yaml", "max: max_attempts, default: 3", "max: max_attempts, default: 4", "max_attempts: its default is not that of `defaults`"),
    Plant("a state too few", "lifecycle.yaml", "      blocked: {effect: skip}\n", "", "pull does not have every state"),
    Plant("a state of no life", "lifecycle.yaml", "to: [completed]", "to: [done]", "leads to an unknown state"),
    Plant("a refusal without a code", "lifecycle.yaml", "{effect: refuse, error: INVALID_STATE}", "{effect: refuse}", "`error` goes with refuse"),
    Plant("a reason of no schema", "lifecycle.yaml", "  poison: ", "  poisoned: ", "schemas/Job.yaml.reason"),
    # --- requirements ---
    Plant("a changed requirement", "lifecycle.md", "same queue, name and data MUST", "same queue and name MUST", "JW-PUSH-3 is stale"),
    Plant("a withdrawn requirement", "wire.md", "- **JW-SDK-7** ", "- ", "JW-SDK-7"),
    Plant("a requirement twice", "wire.md", "**JW-TCP-2**", "**JW-TCP-1**", "JW-TCP-1 is there twice"),
    Plant("two words of RFC 2119", "lifecycle.md", "MUST answer `existing` with that id", "MUST and SHOULD answer `existing` with that id", "JW-PUSH-3 has 2 words"),
    Plant("no word of RFC 2119", "lifecycle.md", "MUST answer `existing` with that id", "answers `existing` with that id", "JW-PUSH-3 has 0 words"),
    Plant("a word outside", "wire.md", "Messages are for people", "Messages MAY change", "MAY stands outside a requirement"),
    Plant("an id of nothing", "openapi.yaml", "JW-PUSH-1,", "JW-PUSH-99,", "JW-PUSH-99 is no requirement"),
    Plant("an unknown area", "wire.md", "**JW-SDK-7**", "**JW-ELSE-7**", "JW-ELSE-7 has no known area"),
    # --- vectors ---
    Plant("a vector twice", "vectors/errors.json", '"id": "ID_CONFLICT"', '"id": "LEASE_LOST"', "an id is there twice"),
    Plant("vectors that are no JSON", "vectors/backoff.json", '"vectors": [', '"vectors": [,', "spec/vectors/backoff.json"),
)  # fmt: skip


def faults(check_spec: Any, root: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = check_spec.main(["--root", str(root)])
    return code, capsys.readouterr().err


def test_this_checkout_has_no_fault(
    check_spec: Any, spec: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert faults(check_spec, spec.repository, capsys) == (0, "")


@pytest.mark.parametrize("plant", PLANTS, ids=[plant.name for plant in PLANTS])
def test_a_planted_fault_is_found(
    plant: Plant, checkout: Path, check_spec: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    file = checkout / "spec" / plant.file
    text = file.read_text(encoding="utf-8")
    assert plant.old in text, "the plant has nothing to replace"
    file.write_text(text.replace(plant.old, plant.new, 1), encoding="utf-8")

    code, said = faults(check_spec, checkout, capsys)

    assert code == 1
    assert plant.said in said


def test_yaml_words_are_those_of_yaml_1_2(source: Any, tmp_path: Path) -> None:
    file = tmp_path / "words.yaml"
    file.write_text("on: yes\nday: 2026-11-22\nflag: true\n", encoding="utf-8")

    assert source.load_yaml(file) == {"on": "yes", "day": "2026-11-22", "flag": True}

"""PEFT's own test matrices on our two methods: no failure, no skip that is not declared, no test lost.

The files are fetched by pip (:mod:`tests.peft_suite.source`); where that fails, these tests are skipped. One
process runs a file for all methods, up to a minute, so the tests are marked slow. The command
``python -m tests.peft_suite`` prints the counts as a table.
"""

from __future__ import annotations

import pytest

from tests.peft_suite.run import FILES, Outcome, run_file
from tests.peft_suite.source import SourceUnavailableError, peft_tests

pytestmark = pytest.mark.slow

PASSED = {
    ("test_custom_models.py", "rep"): 351,
    ("test_custom_models.py", "adp"): 271,
    ("test_decoder_models.py", "rep"): 186,
    ("test_decoder_models.py", "adp"): 162,
    ("test_feature_extraction_models.py", "rep"): 64,
    ("test_feature_extraction_models.py", "adp"): 60,
    ("test_seq_classifier.py", "rep"): 36,
    ("test_seq_classifier.py", "adp"): 36,
}
"""Passes measured with PEFT 0.21.2."""

MERGING = "An adp adapter cannot be merged."
SKIPS = {
    MERGING: "adp only: see tests.peft_suite.changes",
    "Testing bias warnings only for LoraConfig or BOFTConfig": "the test of two methods of PEFT",
    "Multiple active adapters with modules_to_save": "PEFT has it for no method",
    "Mixed adapter batches not supported": "PEFT has it for LoRA only",
    "This test does not apply to": "the test of prompt tuning",
    "Test not applicable for": "the test of prompt learning, or of LoRA's and IA3's weighted sums",
    "This test is only for prompt learning methods": "as it says",
    "Skip tests that are not prompt learning": "as it says",
}
"""Start of a reason to why it may be. But for the first they are PEFT's own, and skip VeRA's rows too."""


@pytest.fixture(scope="module")
def source() -> None:
    """Fetch PEFT's tests once, and skip all tests here where they cannot be had."""
    try:
        peft_tests()
    except SourceUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module", params=FILES)
def found(request: pytest.FixtureRequest, source: None) -> tuple[str, dict[str, Outcome]]:
    """A file of PEFT's, and method to what became of its tests; a file runs once."""
    return request.param, run_file(request.param)


@pytest.mark.parametrize("method", ["rep", "adp"])
def test_no_test_of_peft_fails_and_none_is_lost(found: tuple[str, dict[str, Outcome]], method: str) -> None:
    file, outcomes = found

    assert not outcomes[method].failures, "\n\n".join(outcomes[method].failures)
    assert outcomes[method].passed >= PASSED[file, method]


@pytest.mark.parametrize("method", ["rep", "adp"])
def test_only_declared_reasons_skip_a_test(found: tuple[str, dict[str, Outcome]], method: str) -> None:
    reasons = found[1][method].reasons
    allowed = tuple(start for start in SKIPS if method == "adp" or start != MERGING)

    assert [reason for reason in reasons if not reason.startswith(allowed)] == []


@pytest.mark.parametrize("method", ["rep", "adp"])
def test_merging_aside_as_many_tests_pass_as_for_vera(
    found: tuple[str, dict[str, Outcome]], method: str
) -> None:
    stock, ours = found[1]["vera"], found[1][method]

    assert stock.failed == 0
    assert ours.passed + ours.reasons.get(MERGING, 0) >= stock.passed

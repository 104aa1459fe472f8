"""The tool that compares CPython's tests with and without clew: what it calls a difference."""

from __future__ import annotations

from tools.transparency import Side, differences, read_results

XML = """
<testsuites tests="4">
  <testsuite>
    <testcase name="test.test_x.T.test_good" status="run" result="completed" time="0.1"/>
    <testcase name="test.test_x.T.test_bad" status="run" result="completed" time="0.1">
      <failure type="builtins.AssertionError" message="">Traceback (most recent call last):
AssertionError: 1 != 2
</failure></testcase>
    <testcase name="test.test_x.T.test_broken"><error>Traceback:
KeyError: 'x'</error></testcase>
    <testcase name="test.test_x.T.test_elsewhere"><skipped>needs Windows</skipped></testcase>
  </testsuite>
</testsuites>
"""


def side(**outcomes):
    return Side(outcomes, {}, 1.0)


def test_results_are_read_with_the_last_line_of_what_went_wrong():
    """As CPython's runner writes them."""
    outcomes, reasons = read_results(XML)

    assert outcomes == {
        "test.test_x.T.test_good": "passed",
        "test.test_x.T.test_bad": "failed",
        "test.test_x.T.test_broken": "error",
        "test.test_x.T.test_elsewhere": "skipped",
    }
    assert reasons["test.test_x.T.test_bad"] == "AssertionError: 1 != 2"
    assert reasons["test.test_x.T.test_broken"] == "KeyError: 'x'"


def test_what_ends_differently_is_a_difference():
    """Also a test that one of the sides did not come to."""
    plain = side(a="passed", b="passed", c="passed", d="failed")
    recorded = side(a="passed", b="failed", d="failed", e="passed")

    found = [(d.test, d.plain, d.recorded) for d in differences(plain, recorded)]

    assert found == [("b", "passed", "failed"), ("c", "passed", "not run"), ("e", "not run", "passed")]

"""Lets the shipped suite show the values of a failed assertion, as tests in this folder do."""

import pytest

pytest.register_assert_rewrite("karbor.testing.bank_suite")

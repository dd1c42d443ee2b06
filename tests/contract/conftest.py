"""Assertions of the shared contracts are explained like those of tests."""

import pytest

pytest.register_assert_rewrite("contract.history_cases", "contract.kube_contract", "contract.kube_contract_streams")

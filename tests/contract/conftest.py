"""Assertions of the shared contracts are explained like those of tests."""

import pytest

pytest.register_assert_rewrite("contract.kube_contract", "contract.kube_contract_streams")

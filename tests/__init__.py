"""Tests: unit, contract, integration, fault, acceptance; CONTRIBUTING.md says what each
kind proves.
"""

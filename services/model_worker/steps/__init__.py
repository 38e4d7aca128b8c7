"""The sub-tasks that run oasislmf, each a function from StepContext to StepResult.

This package file imports nothing, so that its errors can be named without loading pandas; `registry` holds the table.
"""

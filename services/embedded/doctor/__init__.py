"""`lossline doctor`: facts are collected (`collect_*`), findings follow from them by pure functions (`findings_*`)."""

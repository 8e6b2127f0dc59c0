"""Single faults, applied in processes of the suite's own, that the cases must notice. Nothing of it ships."""

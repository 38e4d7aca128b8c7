"""All tests. Folders that are packages have fixtures that end with their last test (scope `package`)."""

"""The benchmark: the same files fetched by prefetch and by others, each timed until every hash has been checked."""

"""The local planner: the data, the adapter and the measures of the net that turns a request into a plan."""

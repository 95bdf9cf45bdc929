"""The LangGraph graph and its nodes, the plan, the prompts."""

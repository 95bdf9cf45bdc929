"""One seam to language models: the local one, any LangChain provider, and a scripted one for tests."""

"""The REST API: paths, shapes and conventions as the ConnectyCube SDKs expect them."""

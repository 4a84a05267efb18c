"""The shapes of the API's requests and replies; the web page's types are generated from them."""

"""What several applications send: a tool, instructions and an image."""

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tell the weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
#: The same in Anthropic's words, and instructions worth caching.
ANTHROPIC_TOOL = {
    "name": "get_weather",
    "description": "Tell the weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
ANTHROPIC_SYSTEM = [
    {"type": "text", "text": "You know everything about spans and traces.", "cache_control": {"type": "ephemeral"}}
]
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)

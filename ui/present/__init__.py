"""Messages → what the views draw: texts, bars, colours. No Qt, no clock, no state.

Thread: any.
"""

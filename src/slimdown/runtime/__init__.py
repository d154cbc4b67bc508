"""The specialists' process: an OpenAI-compatible server that answers by trained specialists.

It reads the workspace and writes nothing. It knows no thresholds and no stages: it answers with a
score, and whoever asks decides.
"""

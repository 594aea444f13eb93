"""RunPod's REST API v2: pods, network volumes, what is in stock; and the pods that fill a volume and go away again."""

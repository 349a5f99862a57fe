"""Between frames and what the trunk sees.

The model here works on pixels: its stem is the encoder, its warp head the decoder, so there is
nothing to train first and no tokenizer's loss to set beside the model's. Latent tokenizers for
larger frames have their place in this folder, one file each.
"""

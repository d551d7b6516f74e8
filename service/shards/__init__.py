"""The results of thousands of photos in one file: Parquet for tables, WebDataset tars for training, and their index.

    shards/00000.parquet   a row an object, see `parquet`
    shards/00000.tar       key.json a photo, as `--format json` writes it, and on wish the photo itself, see `tar`
    shards/index.json      what there is in all, see `index`

`payload` is what is known of one photo, as bytes that stand by themselves: of these both files are made.
`reader.MaskShards` reads a folder of shards, photo by photo, in any order.
"""

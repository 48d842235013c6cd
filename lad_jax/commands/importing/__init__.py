"""Import of other formats of annotations, written as COCO JSON that the source "coco" reads."""

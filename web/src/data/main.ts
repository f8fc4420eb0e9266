// The data page: the datasets that the visitor may see.

/* CMix-NN includes the header of its authors' board; it uses nothing of it. */

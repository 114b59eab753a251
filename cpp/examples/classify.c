/* classify_c BUNDLE IMAGE TEXT */
#include <mghft/mghft.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
    mghft_classifier* classifier = NULL;
    float* probabilities = NULL;
    size_t count, index;
    int status;

    if (argc != 4) {
        fprintf(stderr, "usage: classify_c BUNDLE IMAGE TEXT\n");
        return MGHFT_ERROR;
    }
    status = mghft_open(argv[1], NULL, &classifier);
    if (status == MGHFT_OK) {
        count = mghft_class_count(classifier);
        probabilities = malloc(count * sizeof *probabilities);
        status = mghft_classify_file(classifier, argv[2], argv[3], probabilities);
        for (index = 0; status == MGHFT_OK && index < count; ++index) {
            printf("%s %f\n", mghft_class_name(classifier, index), (double)probabilities[index]);
        }
    }
    if (status != MGHFT_OK) fprintf(stderr, "error: %s\n", mghft_last_error());
    free(probabilities);
    mghft_close(classifier);
    return status;
}

// classify_cpp BUNDLE IMAGE TEXT
#include <iostream>
#include <mghft/mghft.hpp>

int main(int argc, char** argv) {
    if (argc != 4) {
        std::cerr << "usage: classify_cpp BUNDLE IMAGE TEXT\n";
        return 2;
    }
    try {
        mghft::Options options;
        options.provider = "cpu";
        mghft::Classifier classifier(argv[1], options);

        const auto predictions = classifier.predict({mghft::Image::open(argv[2])}, {argv[3]});
        const auto& names = classifier.info().class_names;
        const mghft::Prediction& found = predictions[0];
        std::cout << names[found.label] << "\n";
        for (std::size_t index = 0; index < names.size(); ++index) {
            std::cout << names[index] << " " << found.probabilities[index] << "\n";
        }
    } catch (const mghft::Error& error) {
        std::cerr << "error: " << error.what() << "\n";
        return 2;
    }
    return 0;
}

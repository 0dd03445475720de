using Zqfp.Evaluation;

namespace Zqfp.Quantization.Tests;

public sealed class OptionListTests
{
    private static readonly string[] Reading = ["json-field", "document-marker", "document-separator", "bos", "window-seed"];

    [Fact]
    public void How_the_text_is_read_is_listed_where_it_is_not_as_usual()
    {
        var options = new QuantizeOptions { ModelPath = "m.onnx", OutputPath = "out.onnx" };
        Assert.DoesNotContain(OptionList.Of(options), entry => Reading.Contains(entry.Key));

        IReadOnlyDictionary<string, string> list = OptionList.Of(options with
        {
            WindowSeed = 7,
            Reading = new TextReading
            {
                JsonField = "story",
                DocumentMarker = "<end>",
                DocumentSeparator = "\n",
                Beginning = BeginningPolicy.Window,
            },
        });
        Assert.Equal(["story", "<end>", "\n", "window", "7"], Reading.Select(name => list[name]));
    }
}

using Microsoft.Build.Utilities;

namespace Zqfp.Build.Tasks.Tests;

public class EscapingTests
{
    [Theory]
    [InlineData("plain/path.onnx")]
    [InlineData("a;b@c%d$e(f)g'h*i?j")]
    [InlineData("100%25")]
    [InlineData("Größe ☃")]
    public void MSBuild_gives_the_text_back(string text)
    {
        var item = new TaskItem(Escaping.Escape(text));
        item.SetMetadata("Value", Escaping.Escape(text));

        Assert.Equal(text, item.ItemSpec);
        Assert.Equal(text, item.GetMetadata("Value"));
    }
}

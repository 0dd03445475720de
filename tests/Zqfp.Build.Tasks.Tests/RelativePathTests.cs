
namespace Zqfp.Build.Tasks.Tests;

public class RelativePathTests
{
    [Theory]
    [InlineData("/a/b", "/a/b/model/m.onnx", "model/m.onnx")]
    [InlineData("/a", "/a/b/m.onnx", "b/m.onnx")]
    [InlineData("/a/bc", "/a/b/m.onnx", "../b/m.onnx")]
    [InlineData("/a/b/../c/", "/a/c/./m;1.onnx", "m;1.onnx")]
    [InlineData("/", "/m.onnx", "m.onnx")]
    public void The_way_is_the_same_on_every_machine(string folder, string file, string expected) => Assert.Equal(
        expected, RelativePath.Of(folder, file));
}

using Microsoft.Build.Utilities;

namespace Zqfp.Build.Tasks.Tests;

public sealed class ListZqfpGenAiFilesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Lists_the_folders_own_files_and_those_that_quantizing_writes()
    {
        string model = _folder.File("project/chat/model.onnx", "");
        string template = _folder.File("project/chat/chat_template.jinja", "");
        string adapter = _folder.File("project/chat/adapters/a.bin", "");
        _folder.File("project/chat/genai_config.json", "{}");
        string project = Path.GetDirectoryName(Path.GetDirectoryName(model)!)!;
        string made = Path.Combine(project, "obj/zqfp/deep/model.onnx");

        Assert.Equal(
            [
                (adapter, "deep/adapters/a.bin"), (template, "deep/chat_template.jinja"),
                (Path.Combine(made, "genai_config.json"), "deep/genai_config.json"),
                (Path.Combine(made, "tokenizer_config.json"), "deep/tokenizer_config.json"),
                (Path.Combine(made, "mine.so"), "deep/mine.so"),
            ],
            List(project, ("For", "genai"), ("OperatorsLibrary", "libraries/mine.so")));
        Assert.DoesNotContain(List(project, ("For", "genai"), ("Profile", "stock")),
            file => file.Link.EndsWith(".so", StringComparison.Ordinal));
        Assert.Empty(List(project));
    }

    private static (string Path, string Link)[] List(string project, params (string Name, string Value)[] metadata)
    {
        var item = new TaskItem("chat/model.onnx");
        item.SetMetadata("Link", "deep/model.onnx");
        foreach ((string name, string value) in metadata)
        {
            item.SetMetadata(name, value);
        }

        var task = new ListZqfpGenAiFiles { Models = [item], ProjectDirectory = project, IntermediateFolder = "obj/zqfp/" };
        Assert.True(task.Execute());
        return [.. task.Files.Select(file => (file.ItemSpec, file.GetMetadata("Link")))];
    }
}

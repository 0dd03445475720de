using Microsoft.Build.Utilities;

namespace Zqfp.Build.Tasks.Tests;

public sealed class ListZqfpGenAiFilesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Lists_the_folders_own_files_and_those_that_quantizing_writes()
    {
        string model = _folder.Write("project/chat/model.onnx", "");
        string template = _folder.Write("project/chat/chat_template.jinja", "");
        string adapter = _folder.Write("project/chat/adapters/a.bin", "");
        _folder.Write("project/chat/genai_config.json", "{}");
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

    [Fact]
    public void Lists_a_folder_beside_the_project_whose_name_the_projects_begins_with()
    {
        _folder.Write("chat/model.onnx", "");
        string template = _folder.Write("chat/chat_template.jinja", "");
        string project = Path.Combine(_folder.Path, "chat-app");
        Assert.Contains((template, "deep/chat_template.jinja"), List(project, "../chat/model.onnx", ("For", "genai")));
    }

    [Fact]
    public void Lists_nothing_of_a_folder_around_the_project()
    {
        _folder.Write("chat/model.onnx", "");
        Assert.Empty(List(Path.Combine(_folder.Path, "chat", "app"), "../model.onnx", ("For", "genai")));
    }

    private static (string Path, string Link)[] List(string project, params (string Name, string Value)[] metadata) =>
        List(project, "chat/model.onnx", metadata);

    private static (string Path, string Link)[] List(string project, string model, params (string Name, string Value)[] metadata)
    {
        var item = new TaskItem(model);
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
